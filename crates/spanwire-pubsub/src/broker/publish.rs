//! Publishing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use spanwire_protocol::{Timestamp, TopicAccess};
use tokio::sync::oneshot;

use super::access::Endpoint;
use super::committer::{Op, PublishOp};
use super::{Broker, Handle, KIB, Shared};
use crate::error::PubSubError;
use crate::id::{Position, SubKey, SubscriptionId};
use crate::message::{EncodedMessage, Publication};
use crate::topic::{Content, Draft, Outcome};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is kept, and its delivery has begun.
    Accepted {
        /// Its id.
        msg_id: Arc<str>,
        /// Where it stands in its topic.
        position: Position,
        /// Whether the same message was published before, so that nothing was stored now.
        repeated: bool,
    },
    /// A hook did not want it, or nobody is subscribed and the topic keeps nothing for later.
    Dropped,
}

impl Published {
    /// The id of the message, if it was accepted.
    #[must_use]
    pub fn msg_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Accepted { msg_id, .. } => Some(msg_id),
            Self::Dropped => None,
        }
    }
}

impl Broker {
    /// Publishes messages, all or none. When this returns, those with guaranteed delivery are on disk.
    ///
    /// # Errors
    /// When the endpoint may not, a message is wrong, the topic is full, or the log fails.
    ///
    /// # Cancel safety
    /// Messages may be published or not when the future is dropped; none is published in part.
    pub async fn publish(
        &self,
        by: &Endpoint,
        topic: &str,
        publications: Vec<Publication>,
    ) -> Result<Vec<Published>, PubSubError> {
        let started = Instant::now();
        let pattern = by.allow(TopicAccess::Publish, topic)?;
        let shared = &self.0;
        if shared.is_closing() {
            return Err(PubSubError::Closed);
        }
        let handle = shared.handle_by_name(topic);
        let handle = handle.ok_or_else(|| PubSubError::NoSuchTopic(topic.to_owned()))?;
        let settings = handle.lock().settings.clone();
        if publications.is_empty() {
            return Err(PubSubError::NoData);
        }
        let name: Arc<str> = topic.into();
        let now = Timestamp::from_microseconds(shared.clock.now().wall);
        let mut drafts = Vec::with_capacity(publications.len());
        let mut kept = Vec::with_capacity(publications.len());
        for publication in publications {
            let publication = match &settings.hook {
                Some(hook) => {
                    let (hook, name) = (Arc::clone(hook), Arc::clone(&name));
                    shared.hooks.before_publish(hook, name, publication).await?
                }
                None => Some(publication),
            };
            kept.push(publication.is_some());
            let Some(publication) = publication else { continue };
            let has_gd = publication.has_gd;
            let recipients = recipients(shared, &handle, &publication.deliver_to_sk);
            let (publisher, pattern) = (Arc::clone(by.name()), Arc::clone(&pattern));
            let mut message = publication.into_message(&name, publisher, pattern, now)?;
            if message.size > shared.settings.max_message_bytes {
                let limit = shared.settings.max_message_bytes;
                return Err(PubSubError::TooLarge { size: message.size, limit });
            }
            message.limit(settings.limit_message_expiry, settings.limit_retention);
            let encoded = EncodedMessage::of(&message);
            drafts.push(Draft { message, has_gd, recipients, encoded });
        }
        let outcomes = match drafts.is_empty() {
            true => Vec::new(),
            false => shared.submit(handle, drafts, started).await?,
        };
        let mut outcomes = outcomes.into_iter();
        let all = kept.into_iter().map(|kept| match kept.then(|| outcomes.next()).flatten() {
            Some(Outcome::Published(msg_id, position)) => {
                Published::Accepted { msg_id, position, repeated: false }
            }
            Some(Outcome::Repeated(msg_id, position)) => {
                Published::Accepted { msg_id, position, repeated: true }
            }
            Some(Outcome::Dropped) | None => Published::Dropped,
        });
        Ok(all.collect())
    }
}

/// The subscriptions of a topic among these keys; keys of others are nobody's.
fn recipients(shared: &Shared, handle: &Handle, keys: &[SubKey]) -> Option<Vec<SubscriptionId>> {
    if keys.is_empty() {
        return None;
    }
    let located = keys.iter().filter_map(|key| shared.locate(key));
    Some(located.filter(|it| it.handle.id == handle.id).map(|it| it.id).collect())
}

impl Shared {
    async fn submit(
        &self,
        handle: Arc<Handle>,
        drafts: Vec<Draft>,
        started: Instant,
    ) -> Result<Vec<Outcome>, PubSubError> {
        let weight: usize = drafts.iter().map(|draft| draft.message.weight()).sum();
        let most = self.settings.queue_bytes.div_ceil(KIB);
        let permits = u32::try_from(weight.div_ceil(KIB).min(most)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await;
        let room = room.map_err(|_| PubSubError::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.give(Op::Publish(PublishOp { handle, drafts, reply, started, _room: room })).await?;
        answer.await.unwrap_or(Err(PubSubError::Closed))
    }

    /// Notes that contents are kept at hand.
    pub(super) fn note_cached(&self, handle: &Arc<Handle>, kept: Vec<(u64, usize)>) {
        if kept.is_empty() {
            return;
        }
        let bytes = kept.iter().map(|(_, weight)| weight).sum();
        self.cached.fetch_add(bytes, Ordering::Relaxed);
        let mut cache = self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cache.extend(kept.into_iter().map(|(offset, weight)| (Arc::clone(handle), offset, weight)));
    }

    /// Lets go of what was kept at hand longest, until the rest is within its limit.
    pub(super) fn trim_cache(&self) {
        while self.cached.load(Ordering::Relaxed) > self.settings.cache_bytes / 2 {
            let mut cache = self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let Some((handle, offset, bytes)) = cache.pop_front() else { return };
            drop(cache);
            self.cached.fetch_sub(bytes, Ordering::Relaxed);
            handle.lock().set_content(offset, Content::Stored);
        }
    }
}
