//! How a connection ended.

use spanwire_protocol::{CloseCode, CloseFrame};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The peer sent a close frame.
    Peer,
    /// We did, or the peer broke the protocol and we said so.
    Server,
    /// The connection was lost.
    Network,
}

/// How a connection ended, for its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Who ended it.
    pub side: Side,
    /// The code and the reason; 1005 for a close without a code, 1006 for a lost connection.
    pub frame: CloseFrame,
}

impl Ending {
    pub(super) fn by_peer(frame: Option<&tungstenite::protocol::CloseFrame>) -> Self {
        let frame = frame.map_or(CloseFrame::new(CloseCode::NONE, ""), |frame| {
            CloseFrame::with_reason(CloseCode(frame.code.into()), frame.reason.as_str())
        });
        Self { side: Side::Peer, frame }
    }

    pub(super) fn lost(error: Option<&tungstenite::Error>) -> Self {
        let reason = error.map(ToString::to_string).unwrap_or_default();
        Self { side: Side::Network, frame: CloseFrame::with_reason(CloseCode::ABNORMAL, reason) }
    }

    /// The connection was given up without a word.
    #[must_use]
    pub fn aborted() -> Self {
        Self::lost(None)
    }

    pub(super) fn by_us(frame: CloseFrame) -> Self {
        Self { side: Side::Server, frame }
    }
}

/// What to tell a peer that broke the protocol; `None` when there is nobody left to tell.
pub(super) fn violation(error: &tungstenite::Error) -> Option<CloseFrame> {
    use tungstenite::Error;
    use tungstenite::error::{CapacityError, ProtocolError};
    match error {
        Error::Utf8(_) => Some(CloseFrame::new(CloseCode::INVALID_DATA, "Invalid UTF-8 bytes")),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Some(too_big()),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(error) => {
            Some(CloseFrame::with_reason(CloseCode::PROTOCOL, error.to_string()))
        }
        _ => None,
    }
}

pub(super) fn to_wire(frame: &CloseFrame) -> tungstenite::protocol::CloseFrame {
    tungstenite::protocol::CloseFrame {
        code: WireCode::from(frame.code.0),
        reason: (&*frame.reason).into(),
    }
}
/// For a message above the limit.
pub(super) fn too_big() -> CloseFrame {
    CloseFrame::new(CloseCode::TOO_BIG, "Message is too big")
}
