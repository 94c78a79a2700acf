//! Close codes (RFC 6455, 7.4, and wsx-protocol 1.5).

use std::borrow::Cow;

/// A WebSocket close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: done.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server stops or the channel was deleted.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke RFC 6455.
    pub const PROTOCOL: Self = Self(1002);
    /// 1005: never sent; stands for a close without a code.
    pub const NONE: Self = Self(1005);
    /// 1006: never sent; stands for a connection that ended without a close.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: a text message that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: refused; sent after every session-level Forbidden.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message above the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: a defect on the server's side.
    pub const INTERNAL: Self = Self(1011);
    /// 1013: try again later; the outgoing queue overflowed.
    pub const TRY_AGAIN: Self = Self(1013);
    /// 4002: pings went unanswered.
    pub const PINGS_MISSED: Self = Self(4002);
    /// 4005: disconnected by an administrator or a service.
    pub const DISCONNECTED: Self = Self(4005);

    /// Whether a peer may send this code (RFC 6455, 7.4.2; wsx-protocol 1.5).
    #[must_use]
    pub fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1013 | 3000..=4999)
    }
}

/// A close frame: its code and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why the connection ends.
    pub code: CloseCode,
    /// For people; at most 123 bytes.
    pub reason: Cow<'static, str>,
}

impl CloseFrame {
    /// A frame with a fixed reason.
    #[must_use]
    pub const fn new(code: CloseCode, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// A frame whose reason was given by somebody, cut to what fits into a control frame.
    #[must_use]
    pub fn with_reason(code: CloseCode, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        Self { code, reason: Cow::Owned(reason) }
    }

    /// What the client logged in with does not open the channel any more.
    pub const NOT_LET_IN: Self = Self::new(CloseCode::POLICY, "Access was withdrawn");
    /// The server stops, or the channel was deleted, switched off, or moved to another listener (wsx-protocol 1.5).
    pub const SHUTTING_DOWN: Self = Self::new(CloseCode::GOING_AWAY, "Server is shutting down");
    /// After a session-level refusal.
    pub const REFUSED: Self = Self::new(CloseCode::POLICY, "");
    /// The missed-pings threshold was reached.
    pub const PINGS_MISSED: Self = Self::new(CloseCode::PINGS_MISSED, "Pings missed");
    /// An administrator or a service disconnected the client.
    pub const DISCONNECTED: Self = Self::new(CloseCode::DISCONNECTED, "");
    /// The peer does not read what it is sent.
    pub const TOO_SLOW: Self = Self::new(CloseCode::TRY_AGAIN, "Outgoing queue is full");
}

/// What fits into a close frame beside its code.
const MAX_REASON: usize = crate::limits::MAX_CONTROL_PAYLOAD - 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = CloseFrame::with_reason(CloseCode::NORMAL, "ż".repeat(100));
        assert_eq!(frame.reason.len(), 122);
    }

    #[test]
    fn codes_that_exist_only_locally_may_not_be_sent() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            assert!(!CloseCode(code).is_sendable(), "{code}");
        }
        for code in [1000, 1003, 1007, 1011, 3000, 4999] {
            assert!(CloseCode(code).is_sendable(), "{code}");
        }
    }
}
