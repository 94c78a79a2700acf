//! Publish/subscribe behind the port of the admin API.

use serde_json::value::RawValue;
use spanwire_admin::{BoxFuture, Failure, Place, PubSubBackend, Take};
use spanwire_protocol::admin::pubsub::{
    ActiveStatus, CleanUp, Cleaned, DeliveryMethod, EditMessage, MessageInfo, PubSubInfo, Publish,
    Published, QueueInfo, QueueState, StartAt, Subscribe, Subscribed, TopicInfo,
};
use spanwire_protocol::{Payload, Timestamp};
use spanwire_pubsub::settings::{self, Delivery, SubscriptionSettings};
use spanwire_pubsub::{
    Broker, Endpoint, MessageEdit, MessageView, PubSubError, Publication, Pull, QueueFilter,
    SubKey, SubscriptionId, SubscriptionInfo,
};

use super::Administration;

/// How many messages are read at once to find one.
const PAGE: usize = 200;
/// How many characters of a content lists show.
const PREFIX: usize = spanwire_protocol::admin::pubsub::DATA_PREFIX;

impl Administration {
    fn broker(&self) -> &Broker {
        &self.host.pubsub.broker
    }

    fn key(&self, id: u64) -> Result<SubKey, Failure> {
        let key = self.broker().key_of(SubscriptionId(id));
        key.ok_or_else(|| fail(&PubSubError::NoSuchSubscription))
    }

    /// The topic of a place, and the queue if it is one.
    fn place(&self, place: &Place) -> Result<(String, Option<SubKey>), Failure> {
        match place {
            Place::Topic(name) => Ok((name.clone(), None)),
            Place::Queue { id, .. } => {
                let key = self.key(*id)?;
                let info = self.broker().subscription(&key);
                let info = info.ok_or_else(|| fail(&PubSubError::NoSuchSubscription))?;
                Ok((info.topic, Some(key)))
            }
        }
    }

    fn topic_info(&self, topic: spanwire_pubsub::TopicInfo) -> TopicInfo {
        let last = topic.last.as_ref();
        TopicInfo {
            id: topic.id.0,
            current_depth_gd: topic.depth_gd as u64,
            current_depth_non_gd: topic.depth_non_gd as u64,
            bytes: topic.bytes,
            sub_count: topic.subscriptions as u64,
            next_offset: topic.next_offset,
            epoch: topic.epoch,
            published: topic.published,
            last_pub_time: last.map(|last| Timestamp::from_microseconds(last.at)),
            last_pub_msg_id: last.map(|last| last.msg_id.to_string()),
            last_endpoint_name: last.map(|last| last.endpoint.to_string()),
            last_pub_has_gd: last.map(|last| last.has_gd),
            last_pub_server_name: last.map(|_| self.reconciler.settings().name.clone()),
            last_pub_server_pid: last.map(|_| std::process::id()),
            name: topic.name,
        }
    }
}

impl PubSubBackend for Administration {
    fn totals(&self) -> PubSubInfo {
        let (totals, health) = (self.broker().totals(), self.broker().health());
        let cause = |(cause, count): (&spanwire_pubsub::store::GapCause, &u64)| {
            (cause.as_str().to_owned(), *count)
        };
        PubSubInfo {
            topics: totals.topics as u64,
            subscriptions: totals.subscriptions as u64,
            current_depth_gd: totals.depth_gd as u64,
            current_depth_non_gd: totals.depth_non_gd as u64,
            bytes: totals.bytes,
            published: totals.published,
            expired: totals.expired,
            dead: totals.dead,
            gaps: totals.gaps.iter().map(cause).collect(),
            disk_bytes: totals.disk_bytes,
            store: self.reconciler.settings().pubsub.store.as_str().to_owned(),
            is_healthy: health.is_ok(),
            error: health.err(),
        }
    }

    fn topics(&self) -> Vec<TopicInfo> {
        self.broker().topics().into_iter().map(|topic| self.topic_info(topic)).collect()
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        self.broker().topic(name).map(|topic| self.topic_info(topic))
    }

    fn clear_topic(&self, name: String) -> BoxFuture<'_, Result<u64, Failure>> {
        Box::pin(async move {
            let cleared = self.broker().clear_topic(&name).await.map_err(|error| fail(&error))?;
            Ok(cleared as u64)
        })
    }

    fn queues(&self, topic: Option<&str>) -> Vec<QueueInfo> {
        self.broker().subscriptions(topic).into_iter().map(queue_info).collect()
    }

    fn queue(&self, id: u64) -> Option<QueueInfo> {
        let key = self.broker().key_of(SubscriptionId(id))?;
        self.broker().subscription(&key).map(queue_info)
    }

    fn remove_queue(&self, id: u64) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let key = self.key(id)?;
            self.broker().remove_subscription(&key).await.map(drop).map_err(|error| fail(&error))
        })
    }

    fn clear_queue(&self, id: u64) -> BoxFuture<'_, Result<u64, Failure>> {
        Box::pin(async move {
            let key = self.key(id)?;
            let cleared = self.broker().clear_queue(&key).await.map_err(|error| fail(&error))?;
            Ok(cleared as u64)
        })
    }

    fn requeue(&self, id: u64, message: Option<String>) -> BoxFuture<'_, Result<u64, Failure>> {
        Box::pin(async move {
            let key = self.key(id)?;
            let message = match (message, self.broker().subscription(&key)) {
                (Some(message), Some(info)) => Some(self.meant(&info.topic, message).await?),
                (message, _) => message,
            };
            let requeued = self.broker().requeue(&key, message.as_deref()).await;
            Ok(requeued.map_err(|error| fail(&error))? as u64)
        })
    }

    fn messages(
        &self,
        place: Place,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MessageInfo>, Failure>> {
        Box::pin(async move {
            let (topic, key) = self.place(&place)?;
            let views = match (&place, key) {
                (Place::Queue { state, .. }, Some(key)) => {
                    let filter = match state {
                        QueueState::Current => QueueFilter::Current,
                        QueueState::Dead => QueueFilter::Dead,
                    };
                    self.broker().browse_queue(&key, filter, after, limit).await
                }
                _ => self.broker().browse_topic(&topic, after, limit).await,
            };
            let views = views.map_err(|error| fail(&error))?;
            Ok(views.iter().filter_map(|view| message_info(view, false)).collect())
        })
    }

    fn message(
        &self,
        place: Place,
        message: String,
    ) -> BoxFuture<'_, Result<MessageInfo, Failure>> {
        Box::pin(async move {
            let (topic, key) = self.place(&place)?;
            let message = self.meant(&topic, message).await?;
            let view = self.broker().message(&topic, key.as_ref(), &message).await;
            found(&view.map_err(|error| fail(&error))?, &message)
        })
    }

    fn edit_message(
        &self,
        topic: String,
        message: String,
        edit: EditMessage,
    ) -> BoxFuture<'_, Result<MessageInfo, Failure>> {
        Box::pin(async move {
            let data = edit.data.as_deref().map(content).transpose()?;
            let edit = MessageEdit {
                data,
                mime_type: edit.mime_type,
                priority: edit.priority,
                expiration: edit.expiration,
                correl_id: edit.correl_id,
                in_reply_to: edit.in_reply_to,
            };
            let message = self.meant(&topic, message).await?;
            let view = self.broker().edit_message(&topic, &message, edit).await;
            found(&view.map_err(|error| fail(&error))?, &message)
        })
    }

    fn delete_message(&self, place: Place, message: String) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let (topic, key) = self.place(&place)?;
            let message = self.meant(&topic, message).await?;
            let deleted = self.broker().delete_message(&topic, key.as_ref(), &message).await;
            deleted.map_err(|error| fail(&error))
        })
    }

    fn publish(&self, wish: Publish) -> BoxFuture<'_, Result<Published, Failure>> {
        Box::pin(async move {
            let by = self.endpoint(wish.endpoint_name.as_deref())?;
            let topic = wish.topic_name.clone();
            let is_list = wish.data_list.is_some();
            let publications = publications(wish)?;
            let published = self.broker().publish(&by, &topic, publications).await;
            let published = published.map_err(|error| fail(&error))?;
            let mut ids =
                published.iter().map(|it| it.msg_id().map(|id| id.to_string())).collect::<Vec<_>>();
            Ok(match is_list {
                true => Published { msg_id: None, msg_id_list: Some(ids) },
                false => Published { msg_id: ids.pop().flatten(), msg_id_list: None },
            })
        })
    }

    fn subscribe(&self, wish: Subscribe) -> BoxFuture<'_, Result<Subscribed, Failure>> {
        Box::pin(async move {
            let by = self.endpoint(Some(&wish.endpoint_name))?;
            let defaults = SubscriptionSettings::default();
            let batch_size = wish.delivery_batch_size.and_then(|size| usize::try_from(size).ok());
            let settings = SubscriptionSettings {
                delivery: delivery(wish.delivery_method, &by)?,
                batch_size: batch_size.unwrap_or(defaults.batch_size),
                ..defaults
            };
            let subscribe = spanwire_pubsub::Subscribe {
                client_id: wish.ext_client_id.unwrap_or_default(),
                settings,
                start: match wish.start.unwrap_or_default() {
                    StartAt::New => spanwire_pubsub::StartAt::New,
                    StartAt::First => spanwire_pubsub::StartAt::First,
                },
                by_admin: true,
                ..spanwire_pubsub::Subscribe::default()
            };
            let subscribed = self.broker().subscribe(&by, &wish.topic_name, subscribe).await;
            let subscribed = subscribed.map_err(|error| fail(&error))?;
            self.host.pubsub.restart_notifiers();
            let info = self.broker().subscription(&subscribed.key);
            Ok(Subscribed {
                sub_key: subscribed.key.expose().to_owned(),
                id: info.map_or(0, |info| info.id.0),
                queue_depth: subscribed.depth as u64,
                existed: subscribed.existed,
            })
        })
    }

    fn consume(&self, id: u64, take: Take) -> BoxFuture<'_, Result<Vec<MessageInfo>, Failure>> {
        Box::pin(async move {
            let (key, internal) = (self.key(id)?, self.broker().internal());
            let pull = Pull { limit: take.limit.unwrap_or(0), lease: take.lease, wait: take.wait };
            let pubsub = &self.host.pubsub;
            let taken = spanwire_builtins::pubsub::pull(
                &pubsub.broker,
                &pubsub.stop,
                &internal,
                "",
                &key,
                pull,
            )
            .await;
            let taken = taken.map_err(|error| fail(&error))?;
            let info = |delivered: &spanwire_pubsub::Delivered| {
                let view = MessageView {
                    offset: delivered.position.offset,
                    has_gd: delivered.message.has_gd,
                    size: u32::try_from(delivered.message.size).unwrap_or(u32::MAX),
                    attempts: delivered.attempt,
                    in_flight: take.lease.is_some(),
                    dead: None,
                    message: Some(std::sync::Arc::clone(&delivered.message)),
                };
                message_info(&view, true)
            };
            Ok(taken.iter().filter_map(info).collect())
        })
    }

    fn acknowledge(&self, id: u64, messages: Vec<String>) -> BoxFuture<'_, Result<u64, Failure>> {
        Box::pin(async move {
            let (key, internal) = (self.key(id)?, self.broker().internal());
            let ids: Vec<&str> = messages.iter().map(String::as_str).collect();
            let done = self.broker().acknowledge_ids(&internal, "", &key, &ids);
            Ok(done.map_err(|error| fail(&error))? as u64)
        })
    }

    fn compact(&self) -> BoxFuture<'_, Result<u64, Failure>> {
        Box::pin(async move {
            let compacted = self.broker().compact().await;
            compacted.map_err(|error| failure(409, error.to_string()))
        })
    }

    fn clean_up(&self, what: CleanUp) -> BoxFuture<'_, Result<Cleaned, Failure>> {
        Box::pin(async move {
            let (expired, ended) = self.broker().clean_up(what.messages, what.subscriptions).await;
            Ok(Cleaned { expired, subscriptions: ended as u64 })
        })
    }
}

impl Administration {
    /// The message that somebody means, as the broker finds it: by its id in the first place, by its offset where no
    /// message has that id, or where it is written `@42`.
    async fn meant(&self, topic: &str, message: String) -> Result<String, Failure> {
        if let Some(offset) = message.strip_prefix('@').filter(|it| it.parse::<u64>().is_ok()) {
            return Ok(offset.to_owned());
        }
        if message.parse::<u64>().is_err() {
            return Ok(message);
        }
        // To the broker it is an offset.
        let mut after = 0;
        loop {
            let views = self.broker().browse_topic(topic, after, PAGE).await;
            let views = views.map_err(|error| fail(&error))?;
            let is_it = |view: &&MessageView| {
                view.message.as_ref().is_some_and(|it| it.has_own_id && *it.id == *message)
            };
            if let Some(view) = views.iter().find(is_it) {
                return Ok(view.offset.to_string());
            }
            match views.last() {
                Some(last) => after = last.offset,
                None => return Ok(message),
            }
        }
    }

    fn endpoint(&self, name: Option<&str>) -> Result<std::sync::Arc<Endpoint>, Failure> {
        let Some(name) = name else { return Ok(self.broker().internal()) };
        let endpoint = self.broker().endpoint_by_name(name);
        endpoint.ok_or_else(|| failure(404, format!("there is no pubsub_endpoint `{name}`")))
    }
}

fn publications(wish: Publish) -> Result<Vec<Publication>, Failure> {
    let contents = match (wish.data, wish.data_list) {
        (Some(data), None) => vec![data],
        (None, Some(list)) => list,
        _ => return Err(fail(&PubSubError::NoData)),
    };
    let publication = |data: Box<RawValue>| {
        let mut publication = Publication::new(content(&data)?);
        publication.msg_id.clone_from(&wish.msg_id);
        publication.priority = wish.priority;
        publication.expiration = wish.expiration;
        publication.has_gd = wish.has_gd;
        publication.mime_type.clone_from(&wish.mime_type);
        publication.correl_id.clone_from(&wish.correl_id);
        publication.in_reply_to.clone_from(&wish.in_reply_to);
        publication.ext_client_id.clone_from(&wish.ext_client_id);
        publication.ext_pub_time = wish.ext_pub_time.map(|time| time.to_string());
        Ok(publication)
    };
    contents.into_iter().map(publication).collect()
}

/// A content, byte for byte.
fn content(data: &RawValue) -> Result<Payload, Failure> {
    let data = Payload::from_json(data.get().as_bytes().to_vec());
    let data = data.map_err(|error| fail(&PubSubError::Input(error.to_string())))?;
    spanwire_builtins::pubsub::content::check(&data).map_err(|error| fail(&error))?;
    Ok(data)
}

fn delivery(method: Option<DeliveryMethod>, by: &Endpoint) -> Result<Delivery, Failure> {
    match (method.unwrap_or_default(), &by.settings().service_name) {
        (DeliveryMethod::Pull, _) => Ok(Delivery::Pull),
        (DeliveryMethod::WebSocket, _) => Ok(Delivery::WebSocket),
        (DeliveryMethod::Notify, Some(service)) => Ok(Delivery::Service { name: service.to_string() }),
        (DeliveryMethod::Notify, None) => Err(failure(
            400,
            "delivery_method: notify needs to know whom; make a pubsub_subscription object with rest_connection or \
             service_name"
                .to_owned(),
        )),
    }
}

fn queue_info(info: SubscriptionInfo) -> QueueInfo {
    let moment = Timestamp::from_microseconds;
    QueueInfo {
        id: info.id.0,
        sub_key: info.key.expose().to_owned(),
        object_id: info.managed,
        topic_name: info.topic,
        endpoint_name: info.endpoint_name,
        endpoint_type: info.kind.as_str().to_owned(),
        delivery_method: match info.settings.delivery {
            Delivery::Pull => DeliveryMethod::Pull,
            Delivery::WebSocket => DeliveryMethod::WebSocket,
            Delivery::Rest { .. } | Delivery::Service { .. } => DeliveryMethod::Notify,
        },
        active_status: match info.settings.active_status {
            settings::ActiveStatus::PubSub => ActiveStatus::PubSub,
            settings::ActiveStatus::PubOnly => ActiveStatus::PubOnly,
            settings::ActiveStatus::SubOnly => ActiveStatus::SubOnly,
            settings::ActiveStatus::Disabled => ActiveStatus::Disabled,
        },
        delivery_batch_size: info.settings.batch_size as u64,
        delivery_max_retry: info.settings.max_attempts.into(),
        ext_client_id: info.client_id,
        creation_time: moment(info.created),
        last_interaction_time: moment(info.last_seen),
        sub_pattern_matched: info.pattern,
        current_depth: info.depth as u64,
        in_flight: info.in_flight as u64,
        dead: info.dead as u64,
        delivered: info.counters.delivered,
        redelivered: info.counters.redelivered,
        acknowledged: info.counters.acknowledged,
        last_delivery_time: info.counters.last_delivery.map(moment),
        is_attached: info.is_held,
    }
}

fn found(view: &MessageView, which: &str) -> Result<MessageInfo, Failure> {
    message_info(view, true).ok_or_else(|| fail(&PubSubError::NoSuchMessage(which.to_owned())))
}

fn message_info(view: &MessageView, with_data: bool) -> Option<MessageInfo> {
    let message = view.message.as_deref()?;
    let data = with_data.then(|| message.payload().parse().ok()).flatten();
    let (dead_reason, dead_time) = view.dead.clone().unzip();
    Some(MessageInfo {
        msg_id: message.id.to_string(),
        offset: view.offset,
        topic_name: message.topic.to_string(),
        has_gd: view.has_gd,
        priority: message.priority,
        size: message.size as u64,
        data_prefix_short: message.prefix(PREFIX),
        data,
        mime_type: message.mime_type.clone(),
        pub_time: message.pub_time,
        recv_time: message.recv_time,
        ext_pub_time: message.ext_pub_time,
        expiration: message.expiration,
        expiration_time: message.expires_at,
        correl_id: message.correl_id.clone(),
        in_reply_to: message.in_reply_to.clone(),
        ext_client_id: message.ext_client_id.clone(),
        endpoint_name: message.publisher.to_string(),
        pub_pattern_matched: message.pattern.to_string(),
        group_id: message.group_id.clone(),
        position_in_group: message.position_in_group,
        delivery_count: view.attempts,
        is_in_flight: view.in_flight,
        dead_reason,
        dead_time: dead_time.map(Timestamp::from_microseconds),
    })
}

fn fail(error: &PubSubError) -> Failure {
    failure(error.status().0, error.to_string())
}

fn failure(status: u16, message: String) -> Failure {
    Failure { status, message, cid: None }
}
