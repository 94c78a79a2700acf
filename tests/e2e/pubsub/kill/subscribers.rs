//! Those who subscribe: plain WebSocket clients, clients that acknowledge and have positions, and REST callers who are lent
//! messages. They lose connections, resume, take over from themselves and acknowledge in every way.
//!
//! What a plain client was written counts as delivered, so it reads a connection to its end before it leaves it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use spanwire_checker::{Cause, Delivery, Event, Gap, Position, RecordingClient};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::readers::Reader;
use super::wire::{Gone, Http, Socket, content};
use super::{SUBSCRIBERS, Shared, TOPICS};
use crate::live::Dice;

/// The names of all subscriptions.
pub(super) fn names() -> Vec<String> {
    let kinds = ["plain", "v1", "rest"].into_iter().zip(SUBSCRIBERS);
    kinds
        .flat_map(|(kind, count)| (0..count).map(move |number| format!("{kind}.{number}")))
        .collect()
}

/// Starts all of them; each task tells its name when it ends.
pub(super) fn start(shared: &Arc<Shared>, dice: &mut Dice) -> JoinSet<String> {
    let mut tasks = JoinSet::new();
    for (number, name) in names().into_iter().enumerate() {
        let topic = TOPICS[number % TOPICS.len()];
        let client = shared.recorder.client(&name);
        let shared = Arc::clone(shared);
        let dice = Dice(1 + dice.roll(usize::MAX >> 1) as u64);
        if let Some(number) = name.strip_prefix("rest.") {
            let http = Http::new(shared.address, &format!("reader.{number}"));
            tasks.spawn(Reader { shared, client, name, topic, dice, http }.run());
        } else {
            let additions = name.starts_with("v1");
            let subscriber = Subscriber {
                shared,
                client,
                additions,
                topic,
                dice,
                key: None,
                connections: 0,
                asked: 0,
                latest: None,
                leftovers: JoinSet::new(),
                told: HashMap::new(),
                name,
            };
            tasks.spawn(subscriber.run());
        }
    }
    tasks
}

/// A WebSocket client.
struct Subscriber {
    shared: Arc<Shared>,
    client: RecordingClient,
    name: String,
    additions: bool,
    topic: &'static str,
    dice: Dice,
    key: Option<String>,
    connections: usize,
    /// Up to which question of the driver it has answered.
    asked: usize,
    /// The highest position seen, where everything before it was seen.
    latest: Option<Value>,
    /// Connections that were taken over from and are read to their end.
    leftovers: JoinSet<()>,
    /// Receipts that were read, and where.
    told: HashMap<String, String>,
}

/// A call whose answer is awaited.
enum Awaited {
    Subscribe,
    Resume,
    Acknowledge(Vec<String>),
    Question(usize),
}

/// How a connection is left.
#[derive(Clone, Copy, PartialEq)]
enum Leave {
    /// It has ended.
    Gone,
    /// It is dropped, or closed by a plain client.
    Drop,
    /// Another connection resumes while this one is open.
    TakeOver,
    /// Everything has ended.
    End,
}

impl Subscriber {
    async fn run(mut self) -> String {
        while !Shared::is(&self.shared.ends) {
            let Ok(socket) = Socket::open(self.shared.address, self.additions, &self.name).await
            else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            self.connections += 1;
            let connection = format!("{}.{}", self.name, self.connections);
            let mut session = Session {
                socket,
                connection,
                awaited: HashMap::new(),
                unacknowledged: Vec::new(),
                is_attached: false,
            };
            let leave = match self.serve(&mut session).await {
                Ok(leave) => leave,
                Err(Gone) => Leave::Gone,
            };
            self.leave(session, leave).await;
        }
        self.leftovers.join_all().await;
        self.name
    }

    /// Attaches and takes what comes, until it is time to leave.
    async fn serve(&mut self, session: &mut Session) -> Result<Leave, Gone> {
        self.attach(session).await?;
        let is_odd = self.dice.roll(3) > 0;
        let leave_at = Instant::now() + Duration::from_millis(20 + self.dice.roll(1500) as u64);
        loop {
            if Shared::is(&self.shared.ends) {
                return Ok(Leave::End);
            }
            let drains = Shared::is(&self.shared.drains);
            if session.is_attached && is_odd && !drains && Instant::now() >= leave_at {
                return Ok(if self.dice.roll(2) == 0 { Leave::TakeOver } else { Leave::Drop });
            }
            let asked = self.shared.asked.load(Ordering::Acquire);
            if session.is_attached && drains && asked > self.asked {
                self.asked = asked;
                let id = session.socket.start("zato.ping", &json!({})).await?;
                session.awaited.insert(id, Awaited::Question(asked));
            }
            let some = !session.unacknowledged.is_empty();
            if some && (drains || self.dice.roll(4) > 0) {
                self.acknowledge(session).await?;
            }
            let next =
                tokio::time::timeout(Duration::from_millis(15), session.socket.receive()).await;
            if let Ok(message) = next {
                self.take(session, &message?);
            }
        }
    }

    async fn attach(&mut self, session: &mut Session) -> Result<(), Gone> {
        let connection = session.connection.clone();
        let Some(key) = &self.key else {
            self.client.record(Event::SubscribeStarted {
                subscription: self.name.clone(),
                topic: self.topic.to_owned(),
                connection: Some(connection),
                positions: self.additions,
                ordered: true,
                replay: false,
            });
            let mut request = json!({"topic_name": self.topic});
            if self.additions {
                request["ack"] = true.into();
                request["positions"] = true.into();
            }
            let id = session.socket.start("zato.pubsub.pubapi.subscribe-wsx", &request).await?;
            session.awaited.insert(id, Awaited::Subscribe);
            return Ok(());
        };
        self.client.record(Event::AttachStarted { subscription: self.name.clone(), connection });
        let mut request = json!({ "sub_key": key });
        if let Some(position) = self.latest.clone().filter(|_| self.dice.roll(2) == 0) {
            request["position"] = position;
        }
        let id = session.socket.start("zato.pubsub.resume-wsx-subscription", &request).await?;
        session.awaited.insert(id, Awaited::Resume);
        Ok(())
    }

    /// Reads a message of the server.
    fn take(&mut self, session: &mut Session, message: &Value) {
        let subscription = self.name.clone();
        let Some(id) = message["meta"]["in_reply_to"].as_str() else {
            return self.deliver(session, message);
        };
        assert_eq!(message["meta"]["status"], 200, "{}: {message}", self.name);
        match session.awaited.remove(id).unwrap_or_else(|| panic!("{}: {message}", self.name)) {
            Awaited::Subscribe => {
                self.key = message["data"]["sub_key"].as_str().map(str::to_owned);
                self.client.record(Event::SubscribeConfirmed { subscription });
                self.shared.subscribed.fetch_add(1, Ordering::AcqRel);
                session.is_attached = true;
            }
            Awaited::Resume => {
                let connection = session.connection.clone();
                self.client.record(Event::Attached { subscription, connection });
                session.is_attached = true;
            }
            Awaited::Acknowledge(ids) => {
                let connection = Some(session.connection.clone());
                self.client.record(Event::AckConfirmed { subscription, ids, connection });
            }
            Awaited::Question(asked) => {
                if asked == self.shared.asked.load(Ordering::Acquire) {
                    self.shared.answered.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    }

    fn deliver(&mut self, session: &mut Session, message: &Value) {
        if message["meta"]["msg_type"] == "spanwire.psgap" {
            return self.hear_of_gap(session, &message["data"]);
        }
        for item in items(message) {
            record(&self.client, &self.name, &session.connection, item);
            if self.additions {
                session.unacknowledged.push(item.clone());
            }
            let offset = |position: &Value| position["offset"].as_u64();
            let is_later =
                self.latest.as_ref().is_none_or(|it| offset(it) < offset(&item["position"]));
            if self.additions && self.topic.starts_with("/u/") && is_later {
                self.latest = Some(item["position"].clone());
            }
        }
    }

    fn hear_of_gap(&mut self, session: &Session, receipt: &Value) {
        // That it was read may not have been known when the connection or the server ended: then it is told again on
        // another connection, and the same as before.
        let told = self.told.insert(receipt.to_string(), session.connection.clone());
        if told.is_some_and(|before| before != session.connection) {
            return;
        }
        let number = |name: &str| receipt[name].as_u64().unwrap_or_else(|| panic!("{receipt}"));
        let cause = match receipt["cause"].as_str() {
            Some("restart") => Cause::Lost,
            Some("overflow") => Cause::Dropped,
            other => panic!("{}: nothing is {other:?} here: {receipt}", self.name),
        };
        self.client.record(Event::Gap(Gap {
            subscription: self.name.clone(),
            connection: session.connection.clone(),
            epoch: number("epoch").to_string(),
            from: number("from"),
            to: number("to"),
            count: receipt["count"].as_u64(),
            cause,
        }));
    }

    /// Acknowledges in one of the ways there are; some of it, or all.
    async fn acknowledge(&mut self, session: &mut Session) -> Result<(), Gone> {
        let waiting = &mut session.unacknowledged;
        let is_uniform = self.topic.starts_with("/u/");
        let all = Shared::is(&self.shared.drains) || self.dice.roll(2) == 0;
        let count = if all { waiting.len() } else { 1 + self.dice.roll(waiting.len()) };
        let some: Vec<Value> = waiting.drain(..count).collect();
        let ids: Vec<String> =
            some.iter().map(|it| it["msg_id"].as_str().unwrap().to_owned()).collect();
        let mut request = json!({ "sub_key": self.key });
        match self.dice.roll(if is_uniform { 4 } else { 3 }) {
            0 => request["msg_ids"] = ids.clone().into(),
            1 => request["positions"] = some.iter().map(|it| it["position"].clone()).collect(),
            2 => {
                request["positions"] =
                    some.iter().map(|it| it["position"]["offset"].clone()).collect()
            }
            _ => {
                let last = some.iter().max_by_key(|it| it["position"]["offset"].as_u64()).unwrap();
                request["up_to"] = last["position"].clone();
            }
        }
        self.client.record(Event::AckSent { subscription: self.name.clone(), ids: ids.clone() });
        let id = session.socket.start("spanwire.pubsub.acknowledge", &request).await?;
        session.awaited.insert(id, Awaited::Acknowledge(ids));
        Ok(())
    }

    async fn leave(&mut self, mut session: Session, leave: Leave) {
        let connection = session.connection.clone();
        let detached = Event::Detached { subscription: self.name.clone(), connection };
        match leave {
            Leave::TakeOver => {
                // Read to its end by somebody else, while the next connection resumes.
                let (client, name) = (self.client.clone(), self.name.clone());
                self.leftovers.spawn(async move {
                    let quiet = Duration::from_millis(300);
                    while let Ok(Ok(message)) =
                        tokio::time::timeout(quiet, session.socket.receive()).await
                    {
                        record_leftover(&client, &name, &session.connection, &message);
                    }
                    session.read_to_the_end(&client, &name).await;
                    client.record(detached);
                });
            }
            Leave::Drop if !self.additions => {
                session.read_to_the_end(&self.client, &self.name).await;
                self.client.record(detached);
            }
            Leave::Gone | Leave::Drop | Leave::End => {
                drop(session);
                self.client.record(detached);
            }
        }
    }
}

/// A connection of a subscriber.
struct Session {
    socket: Socket,
    connection: String,
    awaited: HashMap<String, Awaited>,
    unacknowledged: Vec<Value>,
    is_attached: bool,
}

impl Session {
    async fn read_to_the_end(&mut self, client: &RecordingClient, name: &str) {
        self.socket.say_goodbye().await;
        while let Some(message) = self.socket.receive_last().await {
            record_leftover(client, name, &self.connection, &message);
        }
    }
}

fn items(message: &Value) -> &[Value] {
    match &message["data"] {
        Value::Array(several) => several,
        one => std::slice::from_ref(one),
    }
}

/// Records deliveries on a connection that nothing else is expected of.
fn record_leftover(client: &RecordingClient, name: &str, connection: &str, message: &Value) {
    if message["meta"]["msg_type"] == "zwsx.psrq" {
        for item in items(message) {
            record(client, name, connection, item);
        }
    }
}

pub(super) fn record(client: &RecordingClient, subscription: &str, connection: &str, item: &Value) {
    let position = item.get("position").map(|position| Position {
        epoch: position["epoch"].to_string(),
        offset: position["offset"].as_u64().unwrap(),
    });
    client.record(Event::Delivered(Delivery {
        subscription: subscription.to_owned(),
        connection: connection.to_owned(),
        id: item["msg_id"].as_str().unwrap_or_else(|| panic!("{item}")).to_owned(),
        content: content(&item["data"]),
        delivery_count: u32::try_from(item["delivery_count"].as_u64().unwrap()).unwrap(),
        priority: item["priority"].as_u64().map(|it| u8::try_from(it).unwrap()),
        publisher_time: None,
        position,
        fields: [(
            "in_reply_to".to_owned(),
            item["in_reply_to"].as_str().unwrap_or_default().to_owned(),
        )]
        .into(),
    }));
}
