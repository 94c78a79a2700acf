//! Durable publish/subscribe for one process: topics, a queue for each subscriber, positions, retries, dead letters.
//!
//! A message acknowledged to its publisher as guaranteed is on disk, and is delivered at least once to every
//! subscription that was there when it was published, unless it expired or a person deleted it: across crashes and
//! power loss. Within a subscription the highest priority comes first, then the order of publication. What is delivered
//! again is marked; what will not be delivered is reported to whoever asked for positions.
//!
//! ```
//! use std::sync::Arc;
//! use spanwire_pubsub::settings::TopicSettings;
//! use spanwire_pubsub::store::memory::MemoryMessageStore;
//! use spanwire_pubsub::{Broker, Publication, Subscribe, TopicId};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let broker = Broker::builder(Arc::new(MemoryMessageStore::new())).open()?;
//! broker.put_topic(TopicId(1), "/customer/new", TopicSettings::default()).await?;
//! let me = broker.internal();
//!
//! let subscription = broker.subscribe(&me, "/customer/new", Subscribe::default()).await?;
//! broker.publish(&me, "/customer/new", vec![Publication::from_value("Anna")?]).await?;
//!
//! let mut consumer = broker.attach(&me, "", &subscription.key).await?;
//! let batch = consumer.next().await.map_err(|ended| format!("{ended:?}"))?;
//! assert_eq!(batch.messages[0].message.payload().parse::<String>()?, "Anna");
//! batch.acknowledge();
//! broker.close().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `broker` | the calls: publish, subscribe, attach, pull, and what an operator does |
//! | `topic` | who gets what and in which order, as a state machine without I/O |
//! | [`store`] | the port to the message log; in memory, or on `spanwire-store` (feature `store`) |
//! | `message` | a message as it is given, kept and stored |
//! | [`settings`] | what topics, endpoints and subscriptions are told |
//!
//! It has no sockets and does not know who connects: an endpoint is whoever the host says it is.

mod broker;
mod clock;
mod error;
mod id;
mod message;
pub mod settings;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod topic;

pub use broker::access::Endpoint;
pub use broker::ports::{HookAction, Hooks, NoHooks, Observer, SubscriptionFacts};
pub use broker::{
    Batch, Broker, BrokerBuilder, BrokerSettings, Consumer, Delivered, Ended, Gap, Published, Pull,
    StartAt, Subscribe, Subscribed, SubscriptionInfo, TopicInfo, Totals,
};
pub use clock::{Clock, SystemClock};
pub use error::PubSubError;
pub use id::{EndpointId, Position, SubKey, SubscriptionId, TopicId};
pub use message::{
    DEFAULT_MIME_TYPE, DEFAULT_PRIORITY, DecodeError, EncodedMessage, Header, MAX_LABEL, Message,
    MessageEdit, Publication, StoredMessage,
};
pub use topic::{Counters, Failure, LastPublication, MessageView, Now, QueueFilter};
