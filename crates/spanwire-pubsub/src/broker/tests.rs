//! Tests of the broker as a whole: what they share.

mod calls;
mod cancel;
mod counts;
mod disk;
mod doubt;
mod invariants;
mod limits;
mod simulation;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use spanwire_protocol::TopicPattern;
use tokio::time::Instant;

use self::disk::SimStore;
use super::{Broker, BrokerSettings, Consumer, Delivered, Pull, Subscribe};
use crate::clock::Clock;
use crate::id::{EndpointId, SubKey, TopicId};
use crate::message::Publication;
use crate::settings::{
    Delivery, EndpointKind, EndpointSettings, Role, SubscriptionSettings, TopicSettings,
};
use crate::topic::Now;

/// A clock that follows tokio's, and whose wall clock can be set.
#[derive(Clone, Debug)]
struct TestClock {
    wall: Arc<AtomicI64>,
    started: Instant,
}

impl TestClock {
    fn new() -> Self {
        Self { wall: Arc::new(AtomicI64::new(1_700_000_000_000_000)), started: Instant::now() }
    }

    fn set_by(&self, by: i64) {
        self.wall.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let monotonic = i64::try_from(self.started.elapsed().as_micros()).unwrap();
        Now { wall: self.wall.load(Ordering::Relaxed) + monotonic, monotonic }
    }

    fn instant(&self, monotonic: i64) -> Instant {
        self.started + Duration::from_micros(u64::try_from(monotonic).unwrap_or(0))
    }
}

const TOPIC: &str = "/t";

fn open(disk: &SimStore, clock: &TestClock) -> Broker {
    open_with(disk, clock, BrokerSettings::default())
}

fn open_with(disk: &SimStore, clock: &TestClock, settings: BrokerSettings) -> Broker {
    let builder = Broker::builder(Arc::new(disk.clone())).clock(Arc::new(clock.clone()));
    builder.settings(settings).open().unwrap()
}

/// A broker with one topic, on a disk that is empty.
async fn fresh(settings: TopicSettings) -> (Broker, SimStore, TestClock) {
    let (disk, clock) = (SimStore::default(), TestClock::new());
    let broker = open(&disk, &clock);
    broker.put_topic(TopicId(1), TOPIC, settings).await.unwrap();
    (broker, disk, clock)
}

fn said(text: &str) -> Publication {
    Publication::from_value(text).unwrap()
}

fn guaranteed(text: &str) -> Publication {
    Publication { has_gd: Some(true), ..said(text) }
}

fn brief(text: &str, seconds: i64) -> Publication {
    Publication { expiration: Some(seconds), ..guaranteed(text) }
}

async fn publish(broker: &Broker, text: &str) {
    broker.publish(&broker.internal(), TOPIC, vec![guaranteed(text)]).await.unwrap();
}

async fn subscribe(broker: &Broker, settings: SubscriptionSettings) -> SubKey {
    let wish = Subscribe { settings, ..Subscribe::default() };
    broker.subscribe(&broker.internal(), TOPIC, wish).await.unwrap().key
}

fn websocket() -> SubscriptionSettings {
    SubscriptionSettings {
        delivery: Delivery::WebSocket,
        acknowledges: true,
        positions: true,
        ..SubscriptionSettings::default()
    }
}

async fn attach(broker: &Broker, key: &SubKey) -> Consumer {
    broker.attach(&broker.internal(), "", key).await.unwrap()
}

async fn pull(broker: &Broker, key: &SubKey) -> Vec<Delivered> {
    let wish = Pull { limit: 0, lease: None, wait: Duration::ZERO };
    broker.pull(&broker.internal(), "", key, wish).await.unwrap()
}

async fn lease(broker: &Broker, key: &SubKey, limit: usize, seconds: u64) -> Vec<Delivered> {
    let wish = Pull { limit, lease: Some(Duration::from_secs(seconds)), wait: Duration::ZERO };
    broker.pull(&broker.internal(), "", key, wish).await.unwrap()
}

fn texts(messages: &[Delivered]) -> Vec<String> {
    messages.iter().map(|it| it.message.payload().parse::<String>().unwrap()).collect()
}

fn offsets(messages: &[Delivered]) -> Vec<u64> {
    messages.iter().map(|it| it.position.offset).collect()
}

fn endpoint(number: u64, kind: EndpointKind, patterns: &[&str]) -> EndpointSettings {
    let name: Arc<str> = format!("endpoint{number}").into();
    EndpointSettings {
        id: EndpointId(number),
        name: Arc::clone(&name),
        kind,
        is_active: true,
        role: Role::PubSub,
        patterns: patterns.iter().map(|it| TopicPattern::parse(it).unwrap()).collect(),
        security_name: Some(name),
        channel_name: None,
        service_name: None,
        bind_to_client: false,
    }
}
