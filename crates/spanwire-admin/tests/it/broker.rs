//! Made-up publish/subscribe: two topics, two queues, messages that do what they are told.

use std::sync::Mutex;

use serde_json::json;
use serde_json::value::RawValue;
use spanwire_admin::{BoxFuture, Failure, Place, PubSubBackend, Take};
use spanwire_protocol::admin::pubsub::{
    CleanUp, Cleaned, EditMessage, MessageInfo, PubSubInfo, Publish, Published, QueueInfo,
    QueueState, Subscribe, Subscribed, TopicInfo,
};

/// The key of every queue.
pub(crate) const KEY: &str = "zpsk.rest.0123456789abcdef0123456789abcdef";

/// Publish/subscribe in memory; `/a` has the queues 1 and 2, `/b/c` has none.
pub(crate) struct FakeBroker {
    pub(crate) messages: Mutex<Vec<MessageInfo>>,
    pub(crate) queues: Mutex<Vec<QueueInfo>>,
    /// What was asked for.
    pub(crate) calls: Mutex<Vec<String>>,
}

impl FakeBroker {
    pub(crate) fn new() -> Self {
        Self {
            messages: Mutex::new((1..=5).map(message).collect()),
            queues: Mutex::new(vec![queue(1, "crm", 0), queue(2, "erp", 2)]),
            calls: Mutex::default(),
        }
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn find(&self, which: &str) -> Result<MessageInfo, Failure> {
        let messages = self.messages.lock().unwrap();
        let is_it = |it: &&MessageInfo| it.msg_id == which || it.offset.to_string() == which;
        messages.iter().find(is_it).cloned().ok_or_else(|| failure(404, which))
    }
}

fn failure(status: u16, which: &str) -> Failure {
    Failure { status, message: format!("Message not found `{which}`"), cid: None }
}

fn now<T: Send + 'static>(value: Result<T, Failure>) -> BoxFuture<'static, Result<T, Failure>> {
    Box::pin(async move { value })
}

fn message(offset: u64) -> MessageInfo {
    let message: MessageInfo = serde_json::from_value(json!({
        "msg_id": format!("zpsm{offset}"),
        "offset": offset,
        "topic_name": "/a",
        "has_gd": offset % 2 == 1,
        "priority": 5,
        "size": 10,
        "data_prefix_short": format!("Message {offset}"),
        "mime_type": "application/json",
        "pub_time": "2026-01-02T03:04:05.000000",
        "recv_time": "2026-01-02T03:04:05.000000",
        "ext_client_id": "",
        "endpoint_name": "portal",
        "pub_pattern_matched": "pub=/**",
    }))
    .unwrap();
    // A port that shows more than it should.
    let data = RawValue::from_string(format!("{{\"z\": 1.50, \"a\": {offset}}}")).unwrap();
    MessageInfo { data: Some(data), ..message }
}

fn queue(id: u64, endpoint: &str, dead: u64) -> QueueInfo {
    serde_json::from_value(json!({
        "id": id,
        "sub_key": KEY,
        "object_id": null,
        "topic_name": "/a",
        "endpoint_name": endpoint,
        "endpoint_type": "rest",
        "delivery_method": "pull",
        "active_status": "pub-sub",
        "delivery_batch_size": 500,
        "delivery_max_retry": 3,
        "ext_client_id": "",
        "creation_time": "2026-01-02T03:04:05.000000",
        "last_interaction_time": "2026-01-02T03:04:05.000000",
        "sub_pattern_matched": "sub=/**",
        "current_depth": 5,
        "in_flight": 1,
        "dead": dead,
        "delivered": 4,
        "redelivered": 1,
        "acknowledged": 3,
        "is_attached": false,
    }))
    .unwrap()
}

fn topic(id: u64, name: &str) -> TopicInfo {
    let topic = json!({
        "id": id, "name": name, "current_depth_gd": 3, "current_depth_non_gd": 2, "bytes": 50,
        "sub_count": 2, "next_offset": 6, "epoch": 1, "published": 5,
    });
    serde_json::from_value(topic).unwrap()
}

impl PubSubBackend for FakeBroker {
    fn totals(&self) -> PubSubInfo {
        let gaps = [("expired".to_owned(), 3)].into();
        let store = "memory".to_owned();
        PubSubInfo { topics: 2, gaps, store, is_healthy: true, ..PubSubInfo::default() }
    }

    fn topics(&self) -> Vec<TopicInfo> {
        vec![topic(1, "/a"), topic(2, "/b/c")]
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        self.topics().into_iter().find(|topic| topic.name == name)
    }

    fn clear_topic(&self, name: String) -> BoxFuture<'_, Result<u64, Failure>> {
        self.note(format!("clear {name}"));
        now(Ok(5))
    }

    fn queues(&self, topic: Option<&str>) -> Vec<QueueInfo> {
        let queues = self.queues.lock().unwrap().clone();
        queues.into_iter().filter(|it| topic.is_none_or(|topic| it.topic_name == topic)).collect()
    }

    fn queue(&self, id: u64) -> Option<QueueInfo> {
        self.queues(None).into_iter().find(|queue| queue.id == id)
    }

    fn remove_queue(&self, id: u64) -> BoxFuture<'_, Result<(), Failure>> {
        self.queues.lock().unwrap().retain(|queue| queue.id != id);
        now(Ok(()))
    }

    fn clear_queue(&self, id: u64) -> BoxFuture<'_, Result<u64, Failure>> {
        self.note(format!("clear {id}"));
        now(Ok(4))
    }

    fn requeue(&self, id: u64, message: Option<String>) -> BoxFuture<'_, Result<u64, Failure>> {
        self.note(format!("requeue {id} {message:?}"));
        now(message.map_or(Ok(2), |which| self.find(&which).map(|_| 1)))
    }

    fn messages(
        &self,
        place: Place,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MessageInfo>, Failure>> {
        let is_dead = matches!(place, Place::Queue { state: QueueState::Dead, .. });
        let all = self.messages.lock().unwrap().clone();
        let is_meant = |it: &MessageInfo| it.offset > after && (!is_dead || it.offset == 2);
        now(Ok(all.into_iter().filter(is_meant).take(limit).collect()))
    }

    fn message(&self, _: Place, message: String) -> BoxFuture<'_, Result<MessageInfo, Failure>> {
        now(self.find(&message))
    }

    fn edit_message(
        &self,
        topic: String,
        message: String,
        edit: EditMessage,
    ) -> BoxFuture<'_, Result<MessageInfo, Failure>> {
        self.note(format!("edit {topic} {}", serde_json::to_string(&edit).unwrap()));
        let edited = |found| MessageInfo { data: edit.data.clone(), ..found };
        now(self.find(&message).map(edited))
    }

    fn delete_message(&self, place: Place, message: String) -> BoxFuture<'_, Result<(), Failure>> {
        self.note(format!("delete {place:?}"));
        let found = self.find(&message);
        if let Ok(found) = &found {
            self.messages.lock().unwrap().retain(|it| it.offset != found.offset);
        }
        now(found.map(drop))
    }

    fn publish(&self, wish: Publish) -> BoxFuture<'_, Result<Published, Failure>> {
        self.note(serde_json::to_string(&wish).unwrap());
        if wish.topic_name == "/full" {
            let message = "Publication rejected - would exceed GD max depth for `/full`";
            return now(Err(Failure { status: 503, message: message.to_owned(), cid: None }));
        }
        let id = |number: usize| Some(format!("zpsm{number}"));
        let list = wish.data_list.map(|list| (0..list.len()).map(id).collect());
        let one = if list.is_none() { id(9) } else { None };
        now(Ok(Published { msg_id: one, msg_id_list: list }))
    }

    fn subscribe(&self, wish: Subscribe) -> BoxFuture<'_, Result<Subscribed, Failure>> {
        self.note(serde_json::to_string(&wish).unwrap());
        let existed = wish.endpoint_name == "crm";
        now(Ok(Subscribed { sub_key: KEY.to_owned(), id: 3, queue_depth: 5, existed }))
    }

    fn consume(&self, id: u64, take: Take) -> BoxFuture<'_, Result<Vec<MessageInfo>, Failure>> {
        self.note(format!("consume {id} {:?} {:?} {:?}", take.limit, take.lease, take.wait));
        if !take.wait.is_zero() {
            return Box::pin(std::future::pending());
        }
        let all = self.messages.lock().unwrap().clone();
        now(Ok(all.into_iter().take(take.limit.unwrap_or(usize::MAX)).collect()))
    }

    fn acknowledge(&self, id: u64, messages: Vec<String>) -> BoxFuture<'_, Result<u64, Failure>> {
        self.note(format!("acknowledge {id} {messages:?}"));
        now(Ok(1))
    }

    fn compact(&self) -> BoxFuture<'_, Result<u64, Failure>> {
        now(Ok(4096))
    }

    fn clean_up(&self, what: CleanUp) -> BoxFuture<'_, Result<Cleaned, Failure>> {
        self.note(format!("{what:?}"));
        now(Ok(Cleaned { expired: 2, subscriptions: 1 }))
    }
}
