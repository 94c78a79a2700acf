//! What the message log gives back: any bytes are a message or an error, and a message is what it says it is.

use bytes::Bytes;
use spanwire_pubsub::StoredMessage;

/// Reads the header alone, then the message.
///
/// # Panics
/// When both can be read and do not agree.
pub fn run(bytes: &[u8]) {
    let stored = StoredMessage::from_bytes(Bytes::copy_from_slice(bytes));
    let (Ok(header), Ok(message)) = (stored.header(), stored.message()) else { return };
    assert_eq!(header.priority, message.priority, "a priority");
    assert_eq!(header.expires_at.is_some(), message.expires_at.is_some(), "an expiry");
    // Whatever the contents are, looking at them must not fail.
    let _ = (message.payload(), message.prefix(64), message.weight());
}
