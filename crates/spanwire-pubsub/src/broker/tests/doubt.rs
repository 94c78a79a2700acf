//! Messages that are gone while nobody knows whether they arrived.

use super::*;
use crate::store::GapCause;
use crate::topic::Failure;

/// One message that expires, one that is deleted and one that stays, all handed over.
async fn two_are_gone(broker: &Broker, consumer: &mut Consumer) -> crate::broker::Batch {
    let me = broker.internal();
    let all = vec![brief("expires", 2), guaranteed("deleted"), guaranteed("stays")];
    broker.publish(&me, TOPIC, all).await.unwrap();
    let batch = consumer.next().await.unwrap();
    assert_eq!(batch.messages.len(), 3);
    broker
        .delete_message(TOPIC, None, &batch.messages[1].position.offset.to_string())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    batch
}

fn told(batch: &crate::broker::Batch) -> Vec<(u64, u64, GapCause)> {
    batch.gaps.iter().map(|gap| (gap.from, gap.to, gap.cause)).collect()
}

const GONE: [(u64, u64, GapCause); 2] = [(1, 1, GapCause::Expired), (2, 2, GapCause::Deleted)];

#[tokio::test(start_paused = true)]
async fn invariant_06_what_is_gone_before_its_connection_is_told_to_the_next() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, websocket()).await;
    let mut former = attach(&broker, &key).await;
    let lost = two_are_gone(&broker, &mut former).await;
    let nothing = tokio::time::timeout(Duration::from_secs(1), former.next()).await;
    assert!(nothing.is_err(), "it may arrive yet");
    let mut holder = attach(&broker, &key).await;
    let batch = holder.next().await.unwrap();
    assert_eq!((texts(&batch.messages), told(&batch)), (vec!["stays".to_owned()], GONE.to_vec()));
    // It is too late for that.
    lost.acknowledge();
    drop(batch);
    drop(holder);
    assert_eq!(told(&attach(&broker, &key).await.next().await.unwrap()), GONE);
    assert_eq!(broker.totals().gaps.get(&GapCause::Expired), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn invariant_06_what_is_gone_and_was_acknowledged_is_no_gap() {
    for how in 0..5 {
        let (broker, disk, clock) = fresh(TopicSettings::default()).await;
        let key = subscribe(&broker, websocket()).await;
        let mut consumer = attach(&broker, &key).await;
        let batch = two_are_gone(&broker, &mut consumer).await;
        let me = broker.internal();
        let last = batch.messages[2].position;
        let ids: Vec<_> = batch.messages.iter().map(|it| it.message.id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        match how {
            0 => batch.acknowledge(),
            1 => {
                batch.sent();
                broker.clear_queue(&key).await.unwrap();
                broker.acknowledge_ids(&me, "", &key, &ids).unwrap();
            }
            // Its connection is gone, and the next one was told nothing yet.
            4 => {
                drop(std::mem::replace(&mut consumer, attach(&broker, &key).await));
                broker.acknowledge(&me, "", &key, &[1, 2, 3]).unwrap();
            }
            2 => drop(broker.acknowledge(&me, "", &key, &[1, 2, 3]).unwrap()),
            _ => drop(broker.acknowledge_up_to(&me, "", &key, last).unwrap()),
        }
        drop(consumer);
        broker.flush().await.unwrap();
        drop(broker);
        let broker = open(&disk.after_crash(0), &clock);
        let mut consumer = attach(&broker, &key).await;
        let nothing = tokio::time::timeout(Duration::from_secs(1), consumer.next()).await;
        assert!(nothing.is_err(), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_06_what_is_gone_before_the_server_is_told_after_its_start() {
    for is_clean in [false, true] {
        let (broker, disk, clock) = fresh(TopicSettings::default()).await;
        let key = subscribe(&broker, websocket()).await;
        let mut consumer = attach(&broker, &key).await;
        let batch = two_are_gone(&broker, &mut consumer).await;
        match is_clean {
            true => broker.close().await.unwrap(),
            false => broker.flush().await.unwrap(),
        }
        let disk = disk.after_crash(0);
        drop((batch, consumer, broker));
        let broker = open(&disk, &clock);
        let batch = attach(&broker, &key).await.next().await.unwrap();
        assert_eq!((batch.messages.len(), told(&batch)), (1, GONE.to_vec()), "{is_clean}");
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_06_what_is_gone_and_failed_or_was_not_answered_in_time_is_a_gap() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, websocket()).await;
    let mut consumer = attach(&broker, &key).await;
    two_are_gone(&broker, &mut consumer).await.fail(Failure::Network, "lost");
    assert_eq!(told(&consumer.next().await.unwrap()), GONE);
    drop(consumer);
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, websocket()).await;
    publish(&broker, "x").await;
    assert_eq!(lease(&broker, &key, 1, 60).await.len(), 1);
    broker.clear_topic(TOPIC).await.unwrap();
    let mut consumer = attach(&broker, &key).await;
    let early = tokio::time::timeout(Duration::from_secs(59), consumer.next()).await;
    assert!(early.is_err(), "it is still its taker's");
    let batch = consumer.next().await.unwrap();
    assert_eq!(told(&batch), [(1, 1, GapCause::Deleted)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_takes_room() {
    let clock = TestClock::new();
    let settings = BrokerSettings { max_unacknowledged: 2, ..BrokerSettings::default() };
    let broker = open_with(&SimStore::default(), &clock, settings);
    broker.put_topic(TopicId(1), TOPIC, TopicSettings::default()).await.unwrap();
    let key = subscribe(&broker, websocket()).await;
    let mut consumer = attach(&broker, &key).await;
    let me = broker.internal();
    let all = vec![brief("1", 1), brief("2", 1), guaranteed("3")];
    broker.publish(&me, TOPIC, all).await.unwrap();
    assert_eq!(consumer.next().await.unwrap().messages.len(), 2);
    let more = tokio::time::timeout(Duration::from_secs(9), consumer.next()).await;
    assert!(more.is_err(), "there is no room");
    broker.acknowledge(&me, "", &key, &[1]).unwrap();
    assert_eq!(texts(&consumer.next().await.unwrap().messages), ["3"]);
}
