//! The PROXY protocol in front of a connection.

use futures_util::FutureExt;
use spanwire_channel::transport::proxy_protocol::{MAX_HEADER, Parsed, parse, read};

/// Looks for a header at the start of the bytes, at once and in pieces.
///
/// # Panics
/// When what is found depends on how the bytes arrive, or on what follows the header.
pub fn run(bytes: &[u8]) {
    let Parsed::Header(announced, length) = parse(bytes) else { return };
    let (header, rest) = bytes.split_at_checked(length).unwrap_or_default();
    assert!(!header.is_empty(), "a header of {length} bytes in {}", bytes.len());
    assert_eq!(parse(header), Parsed::Header(announced, length));
    assert!(length <= MAX_HEADER);
    for end in (0..header.len()).take(300) {
        let part = header.get(..end).map(parse);
        assert!(part == Some(Parsed::Incomplete), "first {end} bytes: {part:?}");
    }
    let mut stream = bytes;
    let got = read(&mut stream).now_or_never();
    assert!(matches!(got, Some(Ok(_))), "not read from a stream: {got:?}");
    if let Some(Ok((from_stream, mut left))) = got.map(|got| got.map(|(a, b)| (a, b.to_vec()))) {
        left.extend_from_slice(stream);
        assert_eq!((from_stream, &*left), (announced, rest));
    }
}
