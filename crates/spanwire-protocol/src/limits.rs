//! Limits that hold for every peer, whatever its settings.

/// How deep JSON and MessagePack values may nest. A deeper message is refused as unreadable, before anything is built.
pub const MAX_DEPTH: usize = 128;

/// The default greatest size of one message, in bytes: 16 MiB.
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 16 * 1024 * 1024;

/// The default bound of a connection's outgoing queue, in bytes: 8 MiB.
pub const DEFAULT_OUTGOING_QUEUE_SIZE: usize = 8 * 1024 * 1024;

/// The default number of calls one connection may have running at once.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 64;

/// The greatest payload of a WebSocket control frame, in bytes (RFC 6455, 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// How many bytes of a client's name, id or attributes are kept; the rest is cut off.
pub const MAX_CLIENT_TEXT: usize = 1024;
