//! Hooks, failures of the log, closing, clocks.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::broker::ports::{HookAction, Hooks, SubscriptionFacts};
use crate::broker::{Ended, Published};
use crate::clock::SystemClock;
use crate::error::PubSubError;
use crate::message::Message;
use crate::store::BoxFuture;

/// Does what it is told, one answer after the other; then it lets everything pass.
#[derive(Default)]
struct Script {
    publish: Mutex<VecDeque<Result<Option<Publication>, PubSubError>>>,
    delivery: Mutex<VecDeque<Result<HookAction, PubSubError>>>,
    refuses_subscribers: bool,
    left: Mutex<usize>,
}

impl Hooks for Script {
    fn before_publish(
        &self,
        _: Arc<str>,
        _: Arc<str>,
        publication: Publication,
    ) -> BoxFuture<'_, Result<Option<Publication>, PubSubError>> {
        let answer = self.publish.lock().unwrap().pop_front();
        Box::pin(async move { answer.unwrap_or(Ok(Some(publication))) })
    }

    fn before_delivery(
        &self,
        _: Arc<str>,
        _: SubscriptionFacts,
        _: Arc<Message>,
        _: u32,
    ) -> BoxFuture<'_, Result<HookAction, PubSubError>> {
        let answer = self.delivery.lock().unwrap().pop_front();
        Box::pin(async move { answer.unwrap_or(Ok(HookAction::Deliver)) })
    }

    fn on_subscribed(
        &self,
        _: Arc<str>,
        _: SubscriptionFacts,
    ) -> BoxFuture<'_, Result<(), PubSubError>> {
        let refused = self.refuses_subscribers;
        Box::pin(
            async move { if refused { Err(PubSubError::Hook("no".to_owned())) } else { Ok(()) } },
        )
    }

    fn on_unsubscribed(&self, _: Arc<str>, _: SubscriptionFacts) -> BoxFuture<'_, ()> {
        *self.left.lock().unwrap() += 1;
        Box::pin(std::future::ready(()))
    }
}

async fn hooked(script: Arc<Script>) -> Broker {
    let builder = Broker::builder(Arc::new(SimStore::default()));
    let broker = builder.clock(Arc::new(TestClock::new())).hooks(script).open().unwrap();
    let settings = TopicSettings { hook: Some("hook".into()), ..TopicSettings::default() };
    broker.put_topic(TopicId(1), TOPIC, settings).await.unwrap();
    broker
}

#[tokio::test(start_paused = true)]
async fn invariant_24_hooks_change_skip_and_refuse_publications() {
    let script = Arc::new(Script::default());
    let broker = hooked(Arc::clone(&script)).await;
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    let me = broker.internal();
    script.publish.lock().unwrap().extend([Ok(None), Ok(Some(said("changed")))]);
    let came = broker.publish(&me, TOPIC, vec![said("a"), said("b"), said("c")]).await.unwrap();
    assert_eq!(came[0], Published::Dropped);
    assert!(came[1].msg_id().is_some() && came[2].msg_id().is_some());
    assert_eq!(texts(&pull(&broker, &key).await), ["changed", "c"]);
    // W17: the only message skipped is no error.
    script.publish.lock().unwrap().push_back(Ok(None));
    let came = broker.publish(&me, TOPIC, vec![said("a")]).await;
    assert_eq!(came, Ok(vec![Published::Dropped]));
    // One that is refused takes the whole call with it.
    let no = PubSubError::Hook("no".to_owned());
    script.publish.lock().unwrap().extend([Ok(Some(said("x"))), Err(no.clone())]);
    assert_eq!(broker.publish(&me, TOPIC, vec![said("a"), said("b")]).await, Err(no));
    assert!(pull(&broker, &key).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn invariant_24_hooks_skip_delete_and_fail_deliveries() {
    let script = Arc::new(Script::default());
    let broker = hooked(Arc::clone(&script)).await;
    let key = subscribe(&broker, websocket()).await;
    let other = subscribe(&broker, SubscriptionSettings::default()).await;
    for text in ["1", "2", "3"] {
        publish(&broker, text).await;
    }
    let started = Instant::now();
    let mut consumer = attach(&broker, &key).await;
    let script_of = |answers: Vec<_>| script.delivery.lock().unwrap().extend(answers);
    script_of(vec![Ok(HookAction::Skip), Ok(HookAction::Delete)]);
    let batch = consumer.next().await.unwrap();
    assert_eq!((texts(&batch.messages), started.elapsed().as_secs()), (vec!["3".into()], 0));
    batch.acknowledge();
    let batch = consumer.next().await.unwrap();
    assert_eq!((texts(&batch.messages), started.elapsed().as_secs()), (vec!["1".into()], 1));
    batch.acknowledge();
    // W18: all skipped is no empty batch, and nothing spins.
    publish(&broker, "4").await;
    script_of(vec![Ok(HookAction::Skip); 3]);
    let batch = consumer.next().await.unwrap();
    assert_eq!((texts(&batch.messages), started.elapsed().as_secs()), (vec!["4".into()], 4));
    batch.acknowledge();
    // An answer that is none: kept, tried again, and nothing overtakes.
    let batch = vec![guaranteed("5"), guaranteed("6")];
    script_of(vec![Err(PubSubError::Hook("what?".to_owned()))]);
    broker.publish(&broker.internal(), TOPIC, batch).await.unwrap();
    let batch = consumer.next().await.unwrap();
    assert_eq!(
        (texts(&batch.messages), batch.messages[0].attempt),
        (vec!["5".into(), "6".into()], 2)
    );
    assert_eq!(pull(&broker, &other).await.len(), 6, "deleted for that subscription only");
}

#[tokio::test(start_paused = true)]
async fn hooks_hear_of_subscribers() {
    let broker = hooked(Arc::new(Script { refuses_subscribers: true, ..Script::default() })).await;
    let refused = broker.subscribe(&broker.internal(), TOPIC, Subscribe::default()).await;
    assert_eq!(refused, Err(PubSubError::Hook("no".to_owned())));
    assert_eq!(broker.topic(TOPIC).unwrap().subscriptions, 0);
    let script = Arc::new(Script::default());
    let broker = hooked(Arc::clone(&script)).await;
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    broker.remove_subscription(&key).await.unwrap();
    assert_eq!(*script.left.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_and_forgets_nothing() {
    let (broker, disk, clock) = fresh(TopicSettings::default()).await;
    let me = broker.internal();
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    publish(&broker, "1").await;
    publish(&broker, "2").await;
    let taken = lease(&broker, &key, 1, 60).await;
    broker.flush().await.unwrap();
    disk.disk().is_full = true;
    broker.acknowledge(&me, "", &key, &offsets(&taken)).unwrap();
    let refused = broker.publish(&me, TOPIC, vec![guaranteed("3")]).await;
    assert_eq!(refused, Err(PubSubError::DiskFull));
    assert_eq!(broker.health(), Ok(()));
    let commits = disk.disk().commits;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(disk.disk().commits - commits < 200, "it does not spin");
    disk.disk().is_full = false;
    // Nobody has to do anything.
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(broker);
    let broker = open(&disk.after_crash(0), &clock);
    assert_eq!(texts(&pull(&broker, &key).await), ["2"]);
    publish(&broker, "3").await;
    assert_eq!(texts(&pull(&broker, &key).await), ["3"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_log_is_not_asked_again() {
    let (broker, disk, _) = fresh(TopicSettings::default()).await;
    let me = broker.internal();
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    publish(&broker, "1").await;
    let taken = lease(&broker, &key, 1, 60).await;
    disk.disk().fails = true;
    let calls = (0..3).map(|_| broker.publish(&me, TOPIC, vec![guaranteed("2")]));
    for came in futures_util::future::join_all(calls).await {
        assert!(matches!(came, Err(PubSubError::Store(_))), "{came:?}");
    }
    for message in [guaranteed("3"), said("3")] {
        assert!(broker.publish(&me, TOPIC, vec![message]).await.is_err());
    }
    assert_eq!(broker.health(), Err("the flush failed".to_owned()));
    broker.acknowledge(&me, "", &key, &offsets(&taken)).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(disk.disk().after_failure, 0);
    assert!(broker.close().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn closing_leaves_no_doubt_about_attempts() {
    for is_clean in [true, false] {
        let (broker, disk, clock) = fresh(TopicSettings::default()).await;
        let key = subscribe(&broker, websocket()).await;
        publish(&broker, "seen").await;
        let mut consumer = attach(&broker, &key).await;
        let batch = consumer.next().await.unwrap();
        publish(&broker, "not seen").await;
        if is_clean {
            broker.close().await.unwrap();
            assert_eq!(consumer.next().await.unwrap_err(), Ended::Closed);
            let me = broker.internal();
            assert_eq!(broker.publish(&me, TOPIC, vec![said("x")]).await, Err(PubSubError::Closed));
            let wish = Pull { limit: 0, lease: None, wait: Duration::ZERO };
            assert_eq!(broker.pull(&me, "", &key, wish).await.unwrap_err(), PubSubError::Closed);
        }
        drop((batch, consumer, broker));
        let broker = open(&disk.after_crash(0), &clock);
        let attempts: Vec<u32> = pull(&broker, &key).await.iter().map(|it| it.attempt).collect();
        assert_eq!(attempts, if is_clean { [2, 1] } else { [2, 2] });
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_consumer_and_a_waiting_pull_end_with_the_broker() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, websocket()).await;
    let mut consumer = attach(&broker, &key).await;
    let me = broker.internal();
    let wish = Pull { limit: 0, lease: None, wait: Duration::MAX };
    let (consumed, pulled, closed) =
        tokio::join!(consumer.next(), broker.pull(&me, "", &key, wish), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            broker.close().await
        },);
    assert_eq!(consumed.unwrap_err(), Ended::Closed);
    assert_eq!(pulled.unwrap_err(), PubSubError::Closed);
    assert_eq!(closed, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_nobody_has_lets_go_of_its_log() {
    let (broker, disk, _) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, websocket()).await;
    let consumer = attach(&broker, &key).await;
    publish(&broker, "x").await;
    drop((broker, consumer));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(disk.is_let_go());
}

#[tokio::test(start_paused = true)]
async fn invariant_44_the_clock_of_the_system_is_read_once() {
    let clock = SystemClock::new();
    let before = clock.now();
    // Tokio's time runs, the wall clock of the machine does not.
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    let after = clock.now();
    assert_eq!(after.wall - before.wall, after.monotonic - before.monotonic);
    assert!(after.monotonic - before.monotonic >= 1_000_000_000);
    assert_eq!(clock.instant(after.monotonic), Instant::now());
}

#[tokio::test(start_paused = true)]
async fn subscribers_who_stay_away_lose_their_subscription_not_those_who_were_there() {
    let limit_sub_inactivity = Some(Duration::from_secs(3_600));
    let settings = TopicSettings { limit_sub_inactivity, ..TopicSettings::default() };
    let (broker, disk, clock) = fresh(settings.clone()).await;
    let away = subscribe(&broker, websocket()).await;
    let there = subscribe(&broker, websocket()).await;
    let polls = subscribe(&broker, SubscriptionSettings::default()).await;
    let consumer = attach(&broker, &there).await;
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    let exists = |broker: &Broker, key| broker.subscription(key).is_some();
    assert!(!exists(&broker, &away) && exists(&broker, &there) && exists(&broker, &polls));
    // A crash is no absence.
    drop((consumer, broker));
    let broker = open(&disk.after_crash(0), &clock);
    broker.put_topic(TopicId(1), TOPIC, settings).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(exists(&broker, &there));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(!exists(&broker, &there));
}

#[tokio::test(start_paused = true)]
async fn settings_that_change_while_a_subscriber_is_seen_stay_changed() {
    let (broker, disk, clock) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    assert!(pull(&broker, &key).await.is_empty());
    tokio::time::sleep(Duration::from_secs(120)).await;
    disk.disk().delay = Duration::from_millis(50);
    let settings = SubscriptionSettings { batch_size: 7, ..SubscriptionSettings::default() };
    let (changed, ()) = tokio::join!(broker.configure_subscription(&key, settings), async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        pull(&broker, &key).await;
    });
    changed.unwrap();
    disk.disk().delay = Duration::ZERO;
    broker.flush().await.unwrap();
    drop(broker);
    let broker = open(&disk.after_crash(0), &clock);
    assert_eq!(broker.subscription(&key).unwrap().settings.batch_size, 7);
}

#[tokio::test(start_paused = true)]
async fn the_time_without_a_server_is_no_absence() {
    let limit_sub_inactivity = Some(Duration::from_secs(3_600));
    let settings = TopicSettings { limit_sub_inactivity, ..TopicSettings::default() };
    let (broker, disk, clock) = fresh(settings.clone()).await;
    let key = subscribe(&broker, websocket()).await;
    drop(attach(&broker, &key).await);
    broker.close().await.unwrap();
    drop(broker);
    // A weekend, and another one by the wall clock alone while it runs.
    tokio::time::sleep(Duration::from_secs(48 * 3_600)).await;
    let broker = open(&disk.after_crash(0), &clock);
    broker.put_topic(TopicId(1), TOPIC, settings).await.unwrap();
    clock.set_by(48 * 3_600 * 1_000_000);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(broker.subscription(&key).is_some());
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(broker.subscription(&key).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_consumer_not_with_a_former_one() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, websocket()).await;
    let first = attach(&broker, &key).await;
    let second = attach(&broker, &key).await;
    assert_eq!(first.end().await, Ok(false));
    assert!(broker.subscription(&key).is_some());
    assert_eq!(second.end().await, Ok(true));
    assert!(broker.subscription(&key).is_none());
}

#[tokio::test(start_paused = true)]
async fn invariant_33_whoever_waits_for_messages_has_to_be_allowed_when_they_come() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let mut settings = endpoint(1, EndpointKind::Wsx, &["pub=/*", "sub=/*"]);
    broker.set_endpoints(vec![settings.clone()]);
    let owner = broker.endpoint_by_id(EndpointId(1)).unwrap();
    let key = broker.subscribe(&owner, TOPIC, Subscribe::default()).await.unwrap().key;
    let wish = Pull { limit: 0, lease: None, wait: Duration::from_secs(60) };
    settings.patterns.clear();
    let (pulled, ()) = tokio::join!(broker.pull(&owner, "", &key, wish), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        broker.set_endpoints(vec![settings]);
        publish(&broker, "secret").await;
    });
    assert_eq!(pulled.unwrap_err(), PubSubError::Forbidden);
    assert_eq!(broker.subscription(&key).unwrap().depth, 1);
}

#[tokio::test(start_paused = true)]
async fn names_of_topics_have_an_end_that_every_object_keeps() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    broker.set_endpoints(vec![endpoint(1, EndpointKind::Rest, &["pub=/**"])]);
    let portal = broker.endpoint_by_id(EndpointId(1)).unwrap();
    let longest = format!("/{}", "\u{1f980}".repeat(199));
    broker.put_topic(TopicId(2), &longest, TopicSettings::default()).await.unwrap();
    broker.publish(&portal, &longest, vec![said("x")]).await.unwrap();
    let longer = "/x".repeat(513);
    let refused = broker.put_topic(TopicId(3), &longer, TopicSettings::default()).await;
    assert!(matches!(refused, Err(PubSubError::Input(_))), "{refused:?}");
    let refused = broker.publish(&portal, &longer, vec![said("x")]).await;
    assert_eq!(refused, Err(PubSubError::Forbidden));
}
