//! Every call is dropped at each of its await points, and nothing leaks.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;
use crate::broker::StartAt;
use crate::message::MessageEdit;

/// Polls so often, with time for the rest of the broker in between; tells whether it came to its end.
async fn polls<T>(times: usize, future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        let mut context = Context::from_waker(Waker::noop());
        if future.as_mut().poll(&mut context).is_ready() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    false
}

/// What a subscriber who comes afterwards sees: every message that was published, none of them with somebody else.
async fn nothing_is_held(broker: &Broker, key: &SubKey, expected: &[&str]) {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let info = broker.subscription(key).unwrap();
    assert_eq!((info.is_held, info.in_flight), (false, 0));
    assert_eq!(texts(&pull(broker, key).await), expected);
}

async fn slow() -> (Broker, SimStore, SubKey) {
    let (disk, clock) = (SimStore::default(), TestClock::new());
    // Everything is read from the disk, and each access takes a while.
    let broker = open_with(&disk, &clock, BrokerSettings { cache_bytes: 0, ..Default::default() });
    broker.put_topic(TopicId(1), TOPIC, TopicSettings::default()).await.unwrap();
    let key = subscribe(&broker, websocket()).await;
    publish(&broker, "1").await;
    publish(&broker, "2").await;
    disk.disk().delay = Duration::from_millis(3);
    (broker, disk, key)
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_is_given_up_leaves_everything_in_the_queue() {
    for times in 0.. {
        let (broker, _, key) = slow().await;
        let wish = Pull { limit: 0, lease: Some(Duration::from_secs(60)), wait: Duration::ZERO };
        if polls(times, broker.pull(&broker.internal(), "", &key, wish)).await {
            assert!(times > 2, "it has to wait for something");
            return;
        }
        nothing_is_held(&broker, &key, &["1", "2"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_given_up_leaves_everything_in_the_queue() {
    for times in 0.. {
        let (broker, _, key) = slow().await;
        let me = broker.internal();
        let both = async {
            let mut consumer = broker.attach(&me, "", &key).await.unwrap();
            drop(consumer.next().await.unwrap());
        };
        let is_done = polls(times, both).await;
        nothing_is_held(&broker, &key, &["1", "2"]).await;
        if is_done {
            assert!(times > 2, "it has to wait for something");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn next_can_be_called_again_after_it_was_given_up() {
    for times in 0..6 {
        let (broker, _, key) = slow().await;
        let mut consumer = attach(&broker, &key).await;
        polls(times, consumer.next()).await;
        let batch = consumer.next().await;
        if times < 2 {
            assert_eq!(texts(&batch.unwrap().messages), ["1", "2"]);
        } else {
            drop((batch, consumer));
            nothing_is_held(&broker, &key, &["1", "2"]).await;
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_is_given_up_is_there_or_not() {
    for times in 0.. {
        let (broker, _, key) = slow().await;
        let batch = vec![guaranteed("3"), guaranteed("4")];
        let is_done = polls(times, broker.publish(&broker.internal(), TOPIC, batch)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let depth = broker.subscription(&key).unwrap().depth;
        assert!(depth == 2 || depth == 4, "{depth}");
        assert_eq!(broker.0.room.available_permits(), 64 * 1024, "the room in the queue is free");
        if is_done {
            assert_eq!(depth, 4);
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_topics_and_subscriptions_is_done_or_not() {
    for times in 0..20 {
        let (broker, disk, key) = slow().await;
        let me = broker.internal();
        let wish = Subscribe { start: StartAt::First, ..Subscribe::default() };
        polls(times, broker.subscribe(&me, TOPIC, wish)).await;
        polls(times, broker.configure_subscription(&key, websocket())).await;
        polls(times, broker.put_topic(TopicId(2), "/2", TopicSettings::default())).await;
        polls(times, broker.delete_message(TOPIC, Some(&key), "2")).await;
        let data = Publication::from_value("edited").unwrap().data;
        let edit = MessageEdit { data: Some(data), ..MessageEdit::default() };
        polls(times, broker.edit_message(TOPIC, "1", edit)).await;
        polls(times, broker.requeue(&key, None)).await;
        polls(times, broker.unsubscribe(&me, "", &key)).await;
        polls(times, broker.clear_queue(&key)).await;
        polls(times, broker.clear_topic(TOPIC)).await;
        polls(times, broker.remove_topic(TopicId(2))).await;
        polls(times, broker.flush()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let seen: Vec<_> = broker.topics().into_iter().map(|it| (it.name, it.depth_gd)).collect();
        let keys: Vec<_> = broker.subscriptions(None).into_iter().map(|it| it.key).collect();
        polls(times, broker.close()).await;
        broker.close().await.ok();
        drop(broker);
        let broker = open(&disk.after_crash(0), &TestClock::new());
        let again: Vec<_> = broker.topics().into_iter().map(|it| (it.name, it.depth_gd)).collect();
        assert_eq!(again, seen, "{times}");
        let restored: Vec<_> = broker.subscriptions(None).into_iter().map(|it| it.key).collect();
        assert_eq!(restored, keys, "{times}");
    }
}
