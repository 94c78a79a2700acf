//! What is counted of what happens, and what is due.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::broker::ports::{Observer, SubscriptionFacts};
use crate::message::Message;
use crate::topic::{Failure, QueueFilter};

#[derive(Default)]
struct Count(AtomicUsize);

impl Observer for Count {
    fn delivered(&self, _: &SubscriptionFacts, _: &Message, _: u32, _: Duration) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_does_not_count_as_delivered() {
    let count = Arc::new(Count::default());
    let builder = Broker::builder(Arc::new(SimStore::default())).clock(Arc::new(TestClock::new()));
    let broker = builder.observer(Arc::<Count>::clone(&count)).open().unwrap();
    broker.put_topic(TopicId(1), TOPIC, TopicSettings::default()).await.unwrap();
    let key = subscribe(&broker, websocket()).await;
    let mut consumer = attach(&broker, &key).await;
    publish(&broker, "x").await;
    let counted = || count.0.load(Ordering::Relaxed);
    consumer.next().await.unwrap().give_back();
    assert_eq!(counted(), 0);
    consumer.next().await.unwrap().fail(Failure::Network, "lost");
    assert_eq!(counted(), 1);
    consumer.next().await.unwrap().sent();
    assert_eq!(counted(), 2);
    drop(consumer);
    attach(&broker, &key).await.next().await.unwrap().acknowledge();
    assert_eq!(counted(), 3);
    publish(&broker, "y").await;
    assert_eq!((pull(&broker, &key).await.len(), counted()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn invariant_19_what_is_put_back_has_its_attempts_ahead_also_after_a_restart() {
    let (broker, disk, clock) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, SubscriptionSettings { max_attempts: 2, ..websocket() }).await;
    publish(&broker, "poison").await;
    for _ in 0..2 {
        drop(attach(&broker, &key).await.next().await.unwrap());
    }
    assert!(pull(&broker, &key).await.is_empty());
    assert_eq!(broker.requeue(&key, None).await, Ok(1));
    broker.close().await.unwrap();
    drop(broker);
    let mut disk = disk.after_crash(0);
    for attempt in 3..=4 {
        let broker = open(&disk, &clock);
        let got = attach(&broker, &key).await.next().await.unwrap();
        assert_eq!(
            (texts(&got.messages), got.messages[0].attempt),
            (vec!["poison".into()], attempt)
        );
        drop(got);
        broker.close().await.unwrap();
        disk = disk.after_crash(0);
    }
    let broker = open(&disk, &clock);
    assert!(pull(&broker, &key).await.is_empty());
    let dead = broker.browse_queue(&key, QueueFilter::Dead, 0, 9).await.unwrap();
    assert_eq!((dead.len(), dead[0].attempts), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn totals_do_not_go_back_when_a_topic_is_removed() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let me = broker.internal();
    let key = subscribe(&broker, websocket()).await;
    let other = SubscriptionSettings { max_attempts: 1, ..websocket() };
    let other = subscribe(&broker, other).await;
    broker.publish(&me, TOPIC, vec![brief("x", 1), guaranteed("y")]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut consumer = attach(&broker, &other).await;
    consumer.next().await.unwrap().fail(Failure::Rejected, "no");
    broker.delete_message(TOPIC, Some(&key), "2").await.unwrap();
    let before = broker.totals();
    assert_eq!((before.published, before.expired, before.dead, before.gaps.len()), (2, 1, 1, 3));
    broker.remove_topic(TopicId(1)).await.unwrap();
    let after = broker.totals();
    let counters = |it: crate::broker::Totals| (it.published, it.expired, it.dead, it.gaps);
    assert_eq!(counters(before), counters(after));
    assert_eq!(broker.totals().topics, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_later_comes_to_its_end_after_something_else_of_its_topic() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let me = broker.internal();
    let key =
        subscribe(&broker, SubscriptionSettings { max_attempts: 1, ..Default::default() }).await;
    let other = subscribe(&broker, SubscriptionSettings::default()).await;
    publish(&broker, "1").await;
    assert_eq!(lease(&broker, &key, 1, 60).await.len(), 1);
    let own = Publication { msg_id: Some("own".to_owned()), ..brief("2", 5) };
    broker.publish(&me, TOPIC, vec![own]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(broker.subscription(&other).unwrap().depth, 1);
    tokio::time::sleep(Duration::from_secs(51)).await;
    assert_eq!(broker.subscription(&key).unwrap().dead, 1);
}
