//! The PROXY protocol, versions 1 and 2, in front of a connection from a trusted proxy.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longer headers are refused; version 1 has at most 107 bytes, version 2 grows with what proxies add.
pub const MAX_HEADER: usize = 4096;

const V1_PREFIX: &[u8] = b"PROXY ";
/// The longest line of version 1, with its end (PROXY protocol specification, 2.1).
const V1_MAX: usize = 107;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Source and destination of the connection.
    Addresses(SocketAddr, SocketAddr),
    /// The proxy speaks for itself (a health check), or over something that is not TCP.
    Itself,
}

/// What could be read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A whole header, and how many bytes it took.
    Header(Announced, usize),
    /// Not yet a whole header.
    Incomplete,
    /// No header.
    Invalid,
}

/// Looks for a header at the start of `bytes`.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    // Version 1 is one line: it is read once it is whole, so that it does not matter how it was cut on its way.
    let bytes = if bytes.starts_with(V1_PREFIX) {
        match bytes.iter().take(V1_MAX).position(|byte| *byte == b'\n') {
            Some(end) if bytes.get(end.wrapping_sub(1)) == Some(&b'\r') => {
                bytes.get(..=end).unwrap_or_default()
            }
            None if bytes.len() < V1_MAX => return Parsed::Incomplete,
            _ => return Parsed::Invalid,
        }
    } else {
        bytes
    };
    let result = HeaderResult::parse(bytes);
    if result.is_incomplete() {
        return if bytes.len() < MAX_HEADER { Parsed::Incomplete } else { Parsed::Invalid };
    }
    match result {
        HeaderResult::V1(Ok(header)) => {
            let announced = match header.addresses {
                v1::Addresses::Tcp4(tcp) => Announced::Addresses(
                    (tcp.source_address, tcp.source_port).into(),
                    (tcp.destination_address, tcp.destination_port).into(),
                ),
                v1::Addresses::Tcp6(tcp) => Announced::Addresses(
                    (tcp.source_address, tcp.source_port).into(),
                    (tcp.destination_address, tcp.destination_port).into(),
                ),
                v1::Addresses::Unknown => Announced::Itself,
            };
            Parsed::Header(announced, header.header.len())
        }
        HeaderResult::V2(Ok(header)) => {
            let announced = match (header.command, header.addresses) {
                (v2::Command::Local, _) => Announced::Itself,
                (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => Announced::Addresses(
                    (ip.source_address, ip.source_port).into(),
                    (ip.destination_address, ip.destination_port).into(),
                ),
                (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => Announced::Addresses(
                    (ip.source_address, ip.source_port).into(),
                    (ip.destination_address, ip.destination_port).into(),
                ),
                (v2::Command::Proxy, _) => Announced::Itself,
            };
            if header.len() > MAX_HEADER {
                Parsed::Invalid
            } else {
                Parsed::Header(announced, header.len())
            }
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Parsed::Invalid,
    }
}

/// Reads the header from a connection, and whatever was read beyond it.
///
/// # Errors
/// When the connection does not start with one.
///
/// # Cancel safety
/// Not cancel safe: what was read is lost with the future. The caller drops the connection then.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Announced, Bytes)> {
    let mut bytes = BytesMut::with_capacity(256);
    loop {
        match parse(&bytes) {
            Parsed::Header(announced, length) => {
                bytes.advance(length);
                return Ok((announced, bytes.freeze()));
            }
            Parsed::Invalid => return Err(io::Error::other("no PROXY protocol header")),
            Parsed::Incomplete => {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        header.extend([command, family, 0, u8::try_from(body.len()).unwrap()]);
        header.extend(body);
        header
    }

    #[test]
    fn both_versions_are_read_and_the_rest_is_kept() {
        let addresses =
            |from: &str, to: &str| Announced::Addresses(from.parse().unwrap(), to.parse().unwrap());
        let body = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];
        let expected = addresses("192.0.2.1:56324", "198.51.100.1:443");
        assert_eq!(parse(V1), Parsed::Header(expected, V1.len()));
        let binary = v2(0x21, 0x11, &body);
        assert_eq!(parse(&binary), Parsed::Header(expected, binary.len()));
        assert!(matches!(parse(b"PROXY UNKNOWN\r\nGET"), Parsed::Header(Announced::Itself, 15)));
        assert!(matches!(parse(&v2(0x20, 0, &[])), Parsed::Header(Announced::Itself, 16)));
    }

    #[test]
    fn a_line_is_read_once_it_is_whole() {
        for end in 0..V1.len() {
            assert_eq!(parse(&V1[..end]), Parsed::Incomplete, "{end}");
        }
        assert_eq!(parse(b"PROXY UNKNOWN x \nGET / HTTP/1.1\r\n"), Parsed::Invalid);
        assert_eq!(parse(&[b"PROXY ", &[b'x'; 200][..]].concat()), Parsed::Invalid);
    }

    #[tokio::test]
    async fn what_follows_the_header_is_not_lost() {
        let mut stream = &[V1, b"GET / HTTP/1.1\r\n"].concat()[..];
        let (_, rest) = read(&mut stream).await.unwrap();
        assert_eq!(rest, "GET / HTTP/1.1\r\n");
        assert!(read(&mut &V1[..20]).await.is_err());
        assert!(read(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).await.is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_handled(bytes in prop::collection::vec(any::<u8>(), 0..200), v1 in any::<bool>()) {
            let _ = parse(&bytes);
            let start: &[u8] = if v1 { b"PROXY TCP4 " } else { b"\r\n\r\n\0\r\nQUIT\n" };
            let _ = parse(&[start, &bytes].concat());
        }
    }
}
