//! Encodes, decodes and names everything spanwire says on the wire.
//!
//! This crate has no sockets, reads no clock and draws no random numbers: identifiers are made from bytes the caller
//! brings, times are values. It is enough by itself to write a client or a server of the WSX protocol.
//!
//! ```
//! use spanwire_protocol::{ClientMessage, Codec, Payload, ServerMessage};
//!
//! let request = ClientMessage::invoke("m1", Payload::from_serialize(Codec::Json, &[1, 2, 3])?).with_token("zwsxt.0");
//! let bytes = request.encode(Codec::Json);
//! let read = ClientMessage::decode(Codec::Json, &bytes)?;
//! assert_eq!(read.data.parse::<Vec<u8>>()?, [1, 2, 3]);
//!
//! let reply = r#"{"meta":{"id":"c1","msg_type":"zwsx.rspok","status":200,"in_reply_to":"m1"},"data":{"pong":"zato"}}"#;
//! let reply = bytes::Bytes::from_static(reply.as_bytes());
//! let reply = ServerMessage::decode(Codec::Json, &reply)?;
//! assert!(reply.is_ok() && reply.in_reply_to.is_some_and(|id| id.matches("m1")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it says |
//! |---|---|
//! | [`envelope`] | messages from clients and from servers, both ways |
//! | [`payload`] | the `data` of a message, carried unparsed until somebody asks |
//! | [`codec`] | JSON and MessagePack, and the subprotocol names that choose them |
//! | [`id`], [`time`] | identifiers and timestamps |
//! | [`status`], [`close`] | statuses, fixed texts and close codes |
//! | [`pattern`] | patterns of service names |
//! | [`topic_pattern`] | patterns of topic names |
//! | [`limits`] | the limits everybody shares |
//! | [`admin`] | the bodies of the admin API |

pub mod admin;
pub mod close;
pub mod codec;
pub mod envelope;
pub mod id;
pub mod limits;
mod msgpack;
pub mod pattern;
pub mod payload;
pub mod status;
pub mod time;
pub mod topic_pattern;

pub use close::{CloseCode, CloseFrame};
pub use codec::Codec;
pub use envelope::{Action, ClientMessage, DecodeError, MessageId, MsgType, ServerMessage};
pub use id::{ConnectionId, CorrelationId, SessionToken};
pub use pattern::ServicePatterns;
pub use payload::{Payload, PayloadError};
pub use status::Status;
pub use time::Timestamp;
pub use topic_pattern::{TopicAccess, TopicPattern, TopicPatternError};
