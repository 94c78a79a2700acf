//! Those who publish: one message or a batch, guaranteed or not, of any priority, sometimes under an id of their own that
//! they try again with.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use spanwire_checker::{Event, Level, Message, Published, RecordingClient};
use tokio::task::JoinSet;

use super::wire::{Failed, Http, Socket, content};
use super::{PUBLISHERS, Shared, TOPICS};
use crate::live::Dice;

/// Starts them for one round.
pub(super) fn start(shared: &Arc<Shared>, round: usize, dice: &mut Dice) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for number in 0..PUBLISHERS {
        let name = format!("p{number}.{round}");
        let publisher = Publisher {
            client: shared.recorder.client(&name),
            name,
            shared: Arc::clone(shared),
            dice: Dice(1 + dice.roll(usize::MAX >> 1) as u64),
            calls: 0,
        };
        match number % 2 {
            0 => tasks.spawn(publisher.run(Way::Rest(Http::new(shared.address, "publisher")))),
            _ => tasks.spawn(publisher.run(Way::WebSocket(None))),
        };
    }
    tasks
}

/// How a publisher publishes.
enum Way {
    Rest(Http),
    WebSocket(Option<Box<Socket>>),
}

struct Publisher {
    shared: Arc<Shared>,
    client: RecordingClient,
    name: String,
    dice: Dice,
    calls: usize,
}

/// A publish call.
#[derive(Clone)]
struct Call {
    topic: &'static str,
    level: Level,
    messages: Vec<Value>,
}

impl Publisher {
    async fn run(mut self, mut way: Way) {
        let mut again = None;
        while Shared::is(&self.shared.publishes) {
            let call = again.take().unwrap_or_else(|| self.call(matches!(way, Way::WebSocket(_))));
            if self.publish(&mut way, &call).await.is_none()
                && call.messages.iter().all(|it| it.get("msg_id").is_some())
            {
                again = Some(call);
            }
            tokio::time::sleep(Duration::from_millis(5 + self.dice.roll(40) as u64)).await;
        }
    }

    /// What is to be published next.
    fn call(&mut self, may_be_batch: bool) -> Call {
        let topic = TOPICS[self.dice.roll(TOPICS.len())];
        let level = if self.dice.roll(3) == 0 { Level::Memory } else { Level::Disk };
        let is_batch = may_be_batch && self.dice.roll(5) == 0;
        let count = if is_batch { 2 + self.dice.roll(8) } else { 1 };
        let has_own_id = !is_batch && may_be_batch && self.dice.roll(4) == 0;
        let messages = (0..count).map(|number| {
            let id = format!("{}.{}.{number}", self.name, self.calls);
            let size = match self.dice.roll(50) {
                0 => 100_000,
                1..10 => 2_000,
                _ => self.dice.roll(100),
            };
            let mut message = json!({
                "data": {"id": id, "padding": "p".repeat(size)}, "in_reply_to": format!("to {id}"),
            });
            if topic.starts_with("/t/") && self.dice.roll(2) == 0 {
                message["priority"] = (1 + self.dice.roll(9)).into();
            }
            if has_own_id {
                message["msg_id"] = format!("own.{id}").into();
            }
            message
        });
        Call { topic, level, messages: messages.collect() }
    }

    /// Publishes and records what came of it; `None` where nobody knows.
    async fn publish(&mut self, way: &mut Way, call: &Call) -> Option<()> {
        if let Way::WebSocket(socket @ None) = way {
            *socket = Socket::open(self.shared.address, false, &self.name).await.ok().map(Box::new);
            // It was never asked for.
            socket.as_ref()?;
        }
        self.calls += 1;
        let name = self.calls.to_string();
        self.client.record(Event::PublishStarted {
            call: name.clone(),
            topic: call.topic.to_owned(),
            level: call.level,
            messages: call.messages.iter().map(given).collect(),
            deliver_to: None,
        });
        let has_gd = call.level == Level::Disk;
        let answer = match way {
            Way::Rest(http) => {
                let mut body = call.messages[0].clone();
                body["has_gd"] = has_gd.into();
                let path = format!("/zato/pubsub/topic/{}", call.topic);
                http.ask("POST", &path, &body).await
            }
            Way::WebSocket(socket) => {
                let answered = over_websocket(socket.as_mut()?, call, has_gd).await;
                if answered.is_err() {
                    *socket = None;
                }
                answered
            }
        };
        match answer {
            Ok((200, data)) => {
                let ids = match &data["msg_id_list"] {
                    Value::Array(ids) => ids.clone(),
                    _ => vec![data["msg_id"].clone()],
                };
                let published = |id: &Value| Published {
                    id: id.as_str().unwrap_or_else(|| panic!("no id: {data}")).to_owned(),
                    position: None,
                };
                let messages = ids.iter().map(published).collect();
                self.client.record(Event::PublishAcknowledged { call: name, messages });
                Some(())
            }
            // Nobody refuses what these publish; the driver sees to it that none was.
            Ok((status, data)) => {
                let reason = Some(format!("{status} {data}"));
                self.client.record(Event::PublishRefused { call: name, reason });
                panic!("{}: {status} {data}", self.name);
            }
            Err(Failed::NotSent) => {
                self.client.record(Event::PublishUnknown { call: name, reason: None });
                None
            }
            Err(Failed::Unknown) => {
                let reason = Some("the connection ended".to_owned());
                self.client.record(Event::PublishUnknown { call: name, reason });
                None
            }
        }
    }
}

async fn over_websocket(
    socket: &mut Socket,
    call: &Call,
    has_gd: bool,
) -> Result<(u16, Value), Failed> {
    let (service, request) = match &call.messages[..] {
        [one] => {
            let mut request = one.clone();
            request["topic_name"] = call.topic.into();
            request["has_gd"] = has_gd.into();
            ("zato.pubsub.pubapi.publish-message", request)
        }
        several => {
            let request = json!({"topic_name": call.topic, "data_list": several, "has_gd": has_gd});
            ("zato.pubsub.publish.publish", request)
        }
    };
    let reply = socket.call(service, &request).await.map_err(|_| Failed::Unknown)?;
    let status = u16::try_from(reply["meta"]["status"].as_u64().unwrap()).unwrap();
    let data = if status == 200 { reply["data"].clone() } else { reply["meta"].clone() };
    Ok((status, data))
}

fn given(message: &Value) -> Message {
    Message {
        content: content(&message["data"]),
        priority: message["priority"].as_u64().map(|it| u8::try_from(it).unwrap()),
        message_id: message["msg_id"].as_str().map(str::to_owned),
        fields: [("in_reply_to".to_owned(), message["in_reply_to"].as_str().unwrap().to_owned())]
            .into(),
        ..Message::default()
    }
}
