//! The two codecs of the envelope and the subprotocols that choose them.
//!
//! JSON text messages are the default; a client that offers a `spanwire.v1.*` subprotocol chooses (docs/protocol.md,
//! section "Codecs").

/// How messages of one connection are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// JSON in text messages; text and binary messages are read alike.
    #[default]
    Json,
    /// MessagePack in binary messages, with the same envelope.
    MsgPack,
}

/// The subprotocol that names the JSON form together with spanwire's additions.
pub const SUBPROTOCOL_JSON: &str = "spanwire.v1.json";
/// The subprotocol that chooses MessagePack together with spanwire's additions.
pub const SUBPROTOCOL_MSGPACK: &str = "spanwire.v1.msgpack";

/// What a client and a server agreed on during the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// The codec of every message.
    pub codec: Codec,
    /// Whether the client asked for spanwire's additions; existing clients did not.
    pub additions: bool,
}

impl Dialect {
    /// Chooses the first subprotocol spanwire knows from a client's offers, in the client's order.
    ///
    /// Returns the dialect and the subprotocol to confirm; `None` to confirm means that the header must be absent from
    /// the answer, because existing clients refuse it.
    ///
    /// ```
    /// use spanwire_protocol::codec::{Codec, Dialect};
    /// let (dialect, confirmed) = Dialect::choose(["chat", "spanwire.v1.msgpack"]);
    /// assert_eq!((dialect.codec, confirmed), (Codec::MsgPack, Some("spanwire.v1.msgpack")));
    /// assert_eq!(Dialect::choose(["chat"]).1, None);
    /// ```
    #[must_use]
    pub fn choose<'a>(offers: impl IntoIterator<Item = &'a str>) -> (Self, Option<&'static str>) {
        for offer in offers {
            match offer.trim() {
                SUBPROTOCOL_JSON => {
                    return (Self { codec: Codec::Json, additions: true }, Some(SUBPROTOCOL_JSON));
                }
                SUBPROTOCOL_MSGPACK => {
                    let dialect = Self { codec: Codec::MsgPack, additions: true };
                    return (dialect, Some(SUBPROTOCOL_MSGPACK));
                }
                _ => {}
            }
        }
        (Self::default(), None)
    }
}
