//! Messages of both directions in JSON.

use spanwire_protocol::Codec;

use crate::envelope;

/// Reads the bytes as a message from a client and as one from a server.
///
/// # Panics
/// When a message that was read is not the same after it was written and read again.
pub fn run(bytes: &[u8]) {
    envelope::check(Codec::Json, bytes);
}
