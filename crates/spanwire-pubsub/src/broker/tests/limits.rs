//! Memory, slow subscribers, many topics and many messages.

use super::*;
use crate::broker::Published;
use crate::error::PubSubError;
use crate::store::GapCause;
use crate::topic::Entry;

#[tokio::test(start_paused = true)]
async fn messages_in_memory_have_a_limit_of_their_own() {
    let (disk, clock) = (SimStore::default(), TestClock::new());
    let settings = BrokerSettings { memory_bytes: 3_000, ..BrokerSettings::default() };
    let broker = open_with(&disk, &clock, settings);
    broker.put_topic(TopicId(1), TOPIC, TopicSettings::default()).await.unwrap();
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    let me = broker.internal();
    let mut count = 0;
    while broker.publish(&me, TOPIC, vec![said(&"x".repeat(400))]).await.is_ok() {
        count += 1;
        assert!(count < 10);
    }
    let refused = broker.publish(&me, TOPIC, vec![said(&"x".repeat(400))]).await;
    assert_eq!(refused, Err(PubSubError::Memory));
    publish(&broker, "guaranteed ones are on disk").await;
    assert_eq!(pull(&broker, &key).await.len(), count + 1);
    assert!(broker.publish(&me, TOPIC, vec![said("room again")]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn invariant_04_slow_subscribers_lose_with_a_gap_and_hold_nobody_up() {
    let settings = TopicSettings { max_depth_non_gd: 10, ..TopicSettings::default() };
    let (broker, ..) = fresh(settings).await;
    let slow = subscribe(&broker, websocket()).await;
    let fast = subscribe(&broker, SubscriptionSettings::default()).await;
    let mut consumer = attach(&broker, &slow).await;
    let me = broker.internal();
    let mut got = 0;
    for number in 0..50 {
        let message = said(&number.to_string());
        broker.publish(&me, TOPIC, vec![message]).await.unwrap();
        got += pull(&broker, &fast).await.len();
    }
    assert_eq!(got, 50);
    let batch = consumer.next().await.unwrap();
    assert_eq!(offsets(&batch.messages), (41..=50).collect::<Vec<_>>());
    let gap = &batch.gaps[0];
    assert_eq!((batch.gaps.len(), gap.from, gap.to, gap.count), (1, 1, 40, Some(40)));
    assert_eq!(gap.cause, GapCause::Overflow);
    // What somebody still waits for who is not slow but away from the socket refuses the publisher.
    broker.publish(&me, TOPIC, vec![said("x")]).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_leaves_no_trace() {
    let settings = TopicSettings { max_depth_non_gd: 2, ..TopicSettings::default() };
    let (broker, ..) = fresh(settings).await;
    let slow = subscribe(&broker, websocket()).await;
    let mut consumer = attach(&broker, &slow).await;
    let me = broker.internal();
    broker.publish(&me, TOPIC, vec![said("1"), said("2")]).await.unwrap();
    broker.publish(&me, TOPIC, vec![said("3"), said("4"), said("5")]).await.unwrap_err();
    let batch = consumer.next().await.unwrap();
    assert_eq!((texts(&batch.messages).len(), batch.gaps.len()), (2, 0));
    batch.acknowledge();
    let came = broker.publish(&me, TOPIC, vec![said("6")]).await.unwrap();
    assert!(matches!(&came[0], Published::Accepted { position, .. } if position.offset == 3));
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_makes_room_for_more() {
    let (disk, clock) = (SimStore::default(), TestClock::new());
    let settings = BrokerSettings { max_unacknowledged: 2, ..BrokerSettings::default() };
    let broker = open_with(&disk, &clock, settings);
    broker.put_topic(TopicId(1), TOPIC, TopicSettings::default()).await.unwrap();
    let key = subscribe(&broker, websocket()).await;
    for text in ["1", "2", "3"] {
        publish(&broker, text).await;
    }
    let mut consumer = attach(&broker, &key).await;
    let batch = consumer.next().await.unwrap();
    assert_eq!(batch.messages.len(), 2);
    batch.sent();
    let wait = Duration::from_secs(9);
    assert!(tokio::time::timeout(wait, consumer.next()).await.is_err());
    let me = broker.internal();
    let (next, _) = tokio::join!(tokio::time::timeout(wait, consumer.next()), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        broker.acknowledge(&me, "", &key, &[1]).unwrap();
    });
    assert_eq!(texts(&next.unwrap().unwrap().messages), ["3"]);
}

#[tokio::test(start_paused = true)]
async fn invariant_43_ten_thousand_idle_topics_ask_nothing_of_the_log() {
    let (disk, clock) = (SimStore::default(), TestClock::new());
    let broker = open(&disk, &clock);
    for number in 0..10_000 {
        let name = format!("/t/{number}");
        broker.put_topic(TopicId(number), &name, TopicSettings::default()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let commits = disk.disk().commits;
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive, 2, "the committer and the timer");
    assert_eq!(broker.0.timer.next(), None, "nothing is due");
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(disk.disk().commits, commits);
}

#[tokio::test(start_paused = true)]
async fn invariant_29_what_waits_takes_no_memory_but_an_entry() {
    let settings = TopicSettings { max_depth_gd: 100_000, ..TopicSettings::default() };
    let (broker, ..) = fresh(settings).await;
    let key = subscribe(&broker, websocket()).await;
    let me = broker.internal();
    let message = guaranteed(&"x".repeat(1_000));
    for _ in 0..50 {
        broker.publish(&me, TOPIC, vec![message.clone(); 1_000]).await.unwrap();
    }
    let handle = broker.0.handle_by_name(TOPIC).unwrap();
    assert_eq!(handle.lock().depth_gd(), 50_000);
    let views = handle.lock().browse(0, usize::MAX);
    assert!(views.iter().all(|view| view.message.is_none()), "no content is kept");
    assert!(size_of::<Entry>() <= 128);
    assert_eq!(broker.0.memory.load(Ordering::Relaxed), 0);
    let mut consumer = attach(&broker, &key).await;
    let mut count = 0;
    while count < 50_000 {
        let batch = consumer.next().await.unwrap();
        count += batch.messages.len();
        batch.acknowledge();
    }
    assert_eq!(handle.lock().depth_gd(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_the_log_is_refused_alone() {
    let (broker, disk, _) = fresh(TopicSettings::default()).await;
    disk.disk().batch_limit = 5_000_000;
    let me = broker.internal();
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    publish(&broker, "acknowledged meanwhile").await;
    assert_eq!(pull(&broker, &key).await.len(), 1);
    let small = || broker.publish(&me, TOPIC, vec![guaranteed("small")]);
    let large = broker.publish(&me, TOPIC, vec![guaranteed(&"x".repeat(10_000_000))]);
    let (before, large, after) = tokio::join!(small(), large, small());
    assert!(matches!(large, Err(PubSubError::TooLarge { limit: 5_000_000, .. })), "{large:?}");
    assert!(before.is_ok() && after.is_ok(), "{before:?} {after:?}");
    assert_eq!(broker.health(), Ok(()));
    broker.flush().await.unwrap();
    let broker = open(&disk.after_crash(0), &TestClock::new());
    let all = Pull { limit: 0, lease: None, wait: Duration::ZERO };
    let kept = broker.pull(&broker.internal(), "", &key, all).await.unwrap();
    assert_eq!(offsets(&kept), [2, 3], "nothing stands where the large one would have stood");
}

#[tokio::test(start_paused = true)]
async fn what_grows_where_it_is_kept_is_measured_there() {
    let (disk, clock) = (SimStore::default(), TestClock::new());
    let settings = BrokerSettings { max_message_bytes: 100_000, ..BrokerSettings::default() };
    let broker = open_with(&disk, &clock, settings);
    broker.put_topic(TopicId(1), TOPIC, TopicSettings::default()).await.unwrap();
    let me = broker.internal();
    let plain = broker.publish(&me, TOPIC, vec![guaranteed(&"x".repeat(100_000))]).await;
    assert!(plain.is_ok(), "{plain:?}");
    let escaped = broker.publish(&me, TOPIC, vec![guaranteed(&"\u{1}".repeat(100_000))]).await;
    assert!(matches!(escaped, Err(PubSubError::TooLarge { .. })), "{escaped:?}");
    for keys in [vec!["zpsk.x".to_owned(); 101], vec!["x".repeat(201)]] {
        let message = Publication { reply_to_sk: keys, ..guaranteed("x") };
        let refused = broker.publish(&me, TOPIC, vec![message]).await;
        assert!(matches!(refused, Err(PubSubError::Input(_))), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_however_much_had_waited_for_it() {
    let settings = TopicSettings { max_depth_gd: 200_000, ..TopicSettings::default() };
    let (broker, disk, clock) = fresh(settings).await;
    let me = broker.internal();
    for _ in 0..120 {
        broker.publish(&me, TOPIC, vec![guaranteed("x"); 1_000]).await.unwrap();
    }
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    disk.disk().batch_limit = 16_000_000;
    broker.unsubscribe(&me, "", &key).await.unwrap();
    let broker = open(&disk.after_crash(0), &clock);
    assert_eq!(broker.0.handle_by_name(TOPIC).unwrap().lock().depth_gd(), 0, "none waits again");
    assert_eq!(broker.health(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn space_that_is_free_in_the_log_goes_back_to_a_full_disk() {
    let (broker, disk, _) = fresh(TopicSettings::default()).await;
    let me = broker.internal();
    disk.disk().bytes = 100 << 20;
    disk.disk().is_full = true;
    let refused = broker.publish(&me, TOPIC, vec![guaranteed("x")]).await;
    assert_eq!(refused, Err(PubSubError::DiskFull));
    tokio::time::sleep(Duration::from_secs(1)).await;
    publish(&broker, "there is room again").await;
    // Not again for a little.
    disk.disk().bytes = 20 << 20;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(disk.disk().compactions, 1);
    let handle = broker.0.handle_by_name(TOPIC).unwrap();
    assert!(handle.lock().stored_bytes() < 10_000);
    disk.disk().bytes = 200 << 20;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(disk.disk().compactions, 2, "also without a refusal");
}
