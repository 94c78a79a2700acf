//! The invariants of publish/subscribe by their numbers, as far as one broker decides them. 1 to 4, 6, 7, 9, 14, 17, 19,
//! 26, 34, 39, 40 and 44 are also held by the simulation and by the model of a topic.

use super::*;
use crate::broker::{Published, StartAt};
use crate::error::PubSubError;
use crate::message::MessageEdit;
use crate::settings::ActiveStatus;
use crate::topic::{Failure, QueueFilter};

#[tokio::test(start_paused = true)]
async fn invariant_05_what_nobody_is_there_for_is_guaranteed() {
    let (broker, disk, clock) = fresh(TopicSettings::default()).await;
    let me = broker.internal();
    broker.publish(&me, TOPIC, vec![said("nobody")]).await.unwrap();
    let key = subscribe(&broker, websocket()).await;
    broker.publish(&me, TOPIC, vec![said("away")]).await.unwrap();
    assert_eq!(broker.topic(TOPIC).unwrap().depth_gd, 2);
    let consumer = attach(&broker, &key).await;
    broker.publish(&me, TOPIC, vec![said("there")]).await.unwrap();
    assert_eq!(broker.topic(TOPIC).unwrap().depth_non_gd, 1);
    drop((consumer, broker));
    let disk = disk.after_crash(0);
    let broker = open(&disk, &clock);
    assert_eq!(texts(&pull(&broker, &key).await), ["nobody", "away"]);
}

#[tokio::test(start_paused = true)]
async fn invariants_07_08_queues_do_not_touch_each_other() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let a = subscribe(&broker, SubscriptionSettings::default()).await;
    let b = subscribe(&broker, SubscriptionSettings::default()).await;
    let c = subscribe(&broker, SubscriptionSettings::default()).await;
    for text in ["1", "2", "3"] {
        publish(&broker, text).await;
    }
    assert_eq!(lease(&broker, &a, 2, 60).await.len(), 2);
    broker.clear_queue(&a).await.unwrap();
    broker.delete_message(TOPIC, Some(&b), "2").await.unwrap();
    broker.remove_subscription(&c).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100_000)).await;
    assert_eq!(texts(&pull(&broker, &b).await), ["1", "3"]);
    assert_eq!(broker.topic(TOPIC).unwrap().depth_gd, 0);
}

#[tokio::test(start_paused = true)]
async fn invariant_09_the_first_to_come_gets_what_waited_once() {
    let (broker, disk, clock) = fresh(TopicSettings::default()).await;
    for text in ["1", "2", "3"] {
        publish(&broker, text).await;
    }
    let wish = Subscribe::default();
    let a = broker.subscribe(&broker.internal(), TOPIC, wish.clone()).await.unwrap();
    let b = broker.subscribe(&broker.internal(), TOPIC, wish).await.unwrap();
    assert_eq!((a.depth, b.depth), (3, 0));
    // Whoever had them and left takes them along, also when the power fails right then.
    broker.remove_subscription(&a.key).await.unwrap();
    drop(broker);
    let broker = open(&disk.after_crash(0), &clock);
    let c = broker.subscribe(&broker.internal(), TOPIC, Subscribe::default()).await.unwrap();
    assert_eq!((c.depth, broker.topic(TOPIC).unwrap().depth_gd), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn invariant_10_only_those_that_are_named_get_it() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    broker.put_topic(TopicId(2), "/other", TopicSettings::default()).await.unwrap();
    let me = broker.internal();
    let a = subscribe(&broker, SubscriptionSettings::default()).await;
    let b = subscribe(&broker, SubscriptionSettings::default()).await;
    let other = broker.subscribe(&me, "/other", Subscribe::default()).await.unwrap().key;
    let deliver_to_sk = vec![a.clone(), other.clone(), SubKey::from_text("zpsk.nobody")];
    let reply_to_sk = vec!["zpsk.me".to_owned()];
    let message = Publication { deliver_to_sk, reply_to_sk, ..said("x") };
    broker.publish(&me, TOPIC, vec![message]).await.unwrap();
    let got = pull(&broker, &a).await;
    assert_eq!(texts(&got), ["x"]);
    assert_eq!(got[0].message.reply_to_sk, ["zpsk.me"]);
    assert!(pull(&broker, &b).await.is_empty() && pull(&broker, &other).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn invariant_11_a_topic_that_keeps_nothing_drops() {
    let settings = TopicSettings { keeps_without_subscribers: false, ..TopicSettings::default() };
    let (broker, ..) = fresh(settings).await;
    let me = broker.internal();
    let came = broker.publish(&me, TOPIC, vec![guaranteed("x")]).await.unwrap();
    assert_eq!(came, [Published::Dropped]);
    assert_eq!(came[0].msg_id(), None);
    assert_eq!(broker.topic(TOPIC).unwrap().depth_gd, 0);
}

#[tokio::test(start_paused = true)]
async fn invariants_12_13_one_subscription_each_and_none_after_its_end() {
    let (broker, disk, _) = fresh(TopicSettings::default()).await;
    disk.disk().delay = Duration::from_millis(5);
    let all = ["pub=/*", "sub=/*"];
    broker.set_endpoints(vec![
        endpoint(1, EndpointKind::Rest, &all),
        endpoint(2, EndpointKind::Wsx, &all),
    ]);
    let rest = broker.endpoint_by_name("endpoint1").unwrap();
    let wsx = broker.endpoint_by_name("endpoint2").unwrap();
    let twice = || broker.subscribe(&rest, TOPIC, Subscribe::default());
    let (one, two, three) = tokio::join!(twice(), twice(), twice());
    let keys = [one.unwrap(), two.unwrap(), three.unwrap()];
    assert!(keys.iter().all(|it| it.key == keys[0].key));
    assert_eq!(keys.iter().filter(|it| !it.existed).count(), 1);
    for _ in 0..2 {
        assert!(!broker.subscribe(&wsx, TOPIC, Subscribe::default()).await.unwrap().existed);
    }
    assert_eq!(broker.topic(TOPIC).unwrap().subscriptions, 3);
    broker.unsubscribe(&rest, "", &keys[0].key).await.unwrap();
    assert!(!broker.remove_subscription(&keys[0].key).await.unwrap());
    publish(&broker, "later").await;
    let again = broker.subscribe(&rest, TOPIC, Subscribe::default()).await.unwrap();
    assert!(!again.existed && again.depth == 0 && again.key != keys[0].key);
}

#[tokio::test(start_paused = true)]
async fn invariants_14_15_priority_then_own_time_then_publication() {
    let (broker, disk, clock) = fresh(TopicSettings::default()).await;
    let me = broker.internal();
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    let with = |text: &str, priority, time: Option<&str>| Publication {
        priority: Some(priority),
        ext_pub_time: time.map(str::to_owned),
        ..guaranteed(text)
    };
    let batch = vec![
        with("low", 1, None),
        with("future", 5, Some("2100-01-01T00:00:00")),
        with("a", 5, None),
        with("old", 5, Some("2001-01-01T00:00:00")),
        with("high", 9, None),
    ];
    broker.publish(&me, TOPIC, batch).await.unwrap();
    publish(&broker, "b").await;
    let order = ["high", "old", "a", "b", "c", "future", "low"];
    drop(broker);
    // The wall clock goes back while the server is down.
    clock.set_by(-3_600_000_000);
    let broker = open(&disk.after_crash(0), &clock);
    broker.publish(&me, TOPIC, vec![guaranteed("c")]).await.unwrap();
    assert_eq!(texts(&pull(&broker, &key).await), order);
}

#[tokio::test(start_paused = true)]
async fn invariants_16_20_a_failure_holds_up_its_queue_or_itself_alone() {
    for blocks_on_error in [true, false] {
        let (broker, ..) = fresh(TopicSettings::default()).await;
        let settings = SubscriptionSettings { blocks_on_error, batch_size: 1, ..websocket() };
        let key = subscribe(&broker, settings).await;
        let other = subscribe(&broker, SubscriptionSettings::default()).await;
        let mut consumer = attach(&broker, &key).await;
        for text in ["1", "2"] {
            publish(&broker, text).await;
        }
        for (failure, seconds) in [(Failure::Network, 10), (Failure::Refused, 6)] {
            let started = Instant::now();
            consumer.next().await.unwrap().fail(failure, "no");
            if !blocks_on_error && failure == Failure::Network {
                let second = consumer.next().await.unwrap();
                assert_eq!(texts(&second.messages), ["2"]);
                assert_eq!(started.elapsed(), Duration::ZERO);
                second.acknowledge();
            }
            let again = consumer.next().await.unwrap();
            assert_eq!(texts(&again.messages), ["1"]);
            assert!(started.elapsed() >= Duration::from_secs(seconds));
            again.give_back();
        }
        assert_eq!(pull(&broker, &other).await.len(), 2, "others are not delayed");
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_18_nothing_is_handed_over_at_its_expiry() {
    let (broker, disk, _) = fresh(TopicSettings::default()).await;
    let me = broker.internal();
    let key = subscribe(&broker, websocket()).await;
    let brief = |text| Publication { expiration: Some(2), ..guaranteed(text) };
    broker.publish(&me, TOPIC, vec![brief("a")]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(pull(&broker, &key).await.is_empty());
    // Also what expires between being taken and being handed over.
    broker.publish(&me, TOPIC, vec![brief("b"), guaranteed("c")]).await.unwrap();
    disk.disk().delay = Duration::from_secs(3);
    let mut consumer = attach(&broker, &key).await;
    let mut batch = consumer.next().await.unwrap();
    assert_eq!((texts(&batch.messages), batch.gaps.len()), (vec!["c".to_owned()], 1));
    assert_eq!((batch.gaps[0].from, batch.gaps[0].to, batch.gaps[0].count), (1, 2, Some(2)));
    batch.messages.clear();
}

#[tokio::test(start_paused = true)]
async fn invariant_19_what_fails_too_often_is_a_dead_letter_once() {
    let (broker, disk, clock) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, SubscriptionSettings { max_attempts: 2, ..websocket() }).await;
    publish(&broker, "poison").await;
    for attempt in 1..=2 {
        let mut consumer = attach(&broker, &key).await;
        assert_eq!(consumer.next().await.unwrap().messages[0].attempt, attempt);
        // Its subscriber dies of it.
    }
    assert!(pull(&broker, &key).await.is_empty());
    let dead = broker.browse_queue(&key, QueueFilter::Dead, 0, 9).await.unwrap();
    assert_eq!(dead.len(), 1);
    broker.flush().await.unwrap();
    drop(broker);
    let broker = open(&disk.after_crash(0), &clock);
    assert_eq!(broker.subscription(&key).unwrap().dead, 1);
    assert_eq!(broker.requeue(&key, None).await, Ok(1));
    assert_eq!(texts(&pull(&broker, &key).await), ["poison"]);
}

#[tokio::test(start_paused = true)]
async fn invariants_21_22_batches_have_a_size_and_are_never_empty() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, SubscriptionSettings { batch_size: 3, ..websocket() }).await;
    for text in ["1", "2", "3", "4"] {
        publish(&broker, text).await;
    }
    let mut consumer = attach(&broker, &key).await;
    let sizes = [consumer.next().await.unwrap(), consumer.next().await.unwrap()];
    assert_eq!(sizes.map(|batch| batch.messages.len()), [3, 1]);
    let more = tokio::time::timeout(Duration::from_secs(9), consumer.next()).await;
    assert!(more.is_err(), "an empty batch");
}

#[tokio::test(start_paused = true)]
async fn invariant_25_an_edit_shows_at_the_next_attempt() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    publish(&broker, "wrong").await;
    assert_eq!(texts(&lease(&broker, &key, 9, 5).await), ["wrong"]);
    let data = Publication::from_value("right").unwrap().data;
    let edit = MessageEdit { data: Some(data), priority: Some(9), ..MessageEdit::default() };
    broker.edit_message(TOPIC, "1", edit).await.unwrap();
    assert!(pull(&broker, &key).await.is_empty(), "it is with its taker");
    tokio::time::sleep(Duration::from_secs(6)).await;
    let again = pull(&broker, &key).await;
    assert_eq!((texts(&again), again[0].attempt), (vec!["right".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn invariant_26_depths_hold_exactly_however_many_publish() {
    let settings = TopicSettings { max_depth_gd: 3, max_depth_non_gd: 2, ..Default::default() };
    let (broker, ..) = fresh(settings).await;
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    let me = broker.internal();
    for (message, most) in [(guaranteed("x"), 3), (said("x"), 2)] {
        let calls = (0..10).map(|_| broker.publish(&me, TOPIC, vec![message.clone()]));
        let came = futures_util::future::join_all(calls).await;
        assert_eq!(came.iter().filter(|it| it.is_ok()).count(), most);
        let refused = came.into_iter().find_map(Result::err).unwrap().to_string();
        assert!(refused.starts_with("Publication rejected - would exceed "), "{refused}");
    }
    assert_eq!(pull(&broker, &key).await.len(), 5);
    publish(&broker, "room again").await;
}

#[tokio::test(start_paused = true)]
async fn invariants_27_28_what_is_checked_of_a_message_and_its_topic() {
    let limit_message_expiry = Some(Duration::from_secs(60));
    let settings = TopicSettings { limit_message_expiry, ..TopicSettings::default() };
    let (broker, ..) = fresh(settings.clone()).await;
    let me = broker.internal();
    let key = subscribe(&broker, SubscriptionSettings::default()).await;
    let ask = |priority, expiration| {
        let message = Publication { priority, expiration, ..guaranteed("x") };
        broker.publish(&me, TOPIC, vec![message])
    };
    for wrong in [(Some(10), None), (Some(-1), None), (None, Some(-1))] {
        assert!(matches!(ask(wrong.0, wrong.1).await, Err(PubSubError::Input(_))));
    }
    for (priority, expiration) in [(None, None), (Some(0), Some(5)), (Some(9), Some(600))] {
        ask(priority, expiration).await.unwrap();
    }
    broker
        .put_topic(TopicId(1), TOPIC, TopicSettings { is_active: false, ..settings })
        .await
        .unwrap();
    assert_eq!(ask(None, None).await, Err(PubSubError::Inactive(TOPIC.to_owned())));
    let got = pull(&broker, &key).await;
    let seen: Vec<_> = got.iter().map(|it| (it.message.priority, it.message.expiration)).collect();
    assert_eq!(seen, [(9, Some(60)), (5, Some(60)), (5, Some(5))]);
}

#[tokio::test(start_paused = true)]
async fn invariant_30_an_id_is_one_message_within_its_window() {
    let (broker, disk, clock) = fresh(TopicSettings::default()).await;
    broker.put_topic(TopicId(2), "/other", TopicSettings::default()).await.unwrap();
    let me = broker.internal();
    let message = || Publication { msg_id: Some("mine".to_owned()), ..guaranteed("x") };
    let was_new = |came: Vec<Published>| match came[0] {
        Published::Accepted { repeated, .. } => !repeated,
        Published::Dropped => false,
    };
    assert!(was_new(broker.publish(&me, TOPIC, vec![message()]).await.unwrap()));
    assert!(!was_new(broker.publish(&me, TOPIC, vec![message()]).await.unwrap()));
    assert!(was_new(broker.publish(&me, "/other", vec![message()]).await.unwrap()));
    drop(broker);
    let broker = open(&disk.after_crash(0), &clock);
    assert!(!was_new(broker.publish(&me, TOPIC, vec![message()]).await.unwrap()), "a restart");
    tokio::time::sleep(Duration::from_secs(121)).await;
    assert!(was_new(broker.publish(&me, TOPIC, vec![message()]).await.unwrap()));
    assert_eq!(broker.topic(TOPIC).unwrap().depth_gd, 2);
}

#[tokio::test(start_paused = true)]
async fn invariants_33_35_37_keys_are_their_owners_and_what_is_revoked_is_gone() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let all = ["pub=/*", "sub=/*"];
    let bound = EndpointSettings { bind_to_client: true, ..endpoint(1, EndpointKind::Wsx, &all) };
    broker.set_endpoints(vec![bound.clone(), endpoint(2, EndpointKind::Wsx, &all)]);
    let owner = broker.endpoint_by_id(EndpointId(1)).unwrap();
    let other = broker.endpoint_by_id(EndpointId(2)).unwrap();
    let wish = Subscribe { client_id: "me".to_owned(), ..Subscribe::default() };
    let key = broker.subscribe(&owner, TOPIC, wish).await.unwrap().key;
    publish(&broker, "x").await;
    let wish = Pull { limit: 0, lease: None, wait: Duration::ZERO };
    for (by, client) in [(&other, "me"), (&owner, "you")] {
        let refused = broker.pull(by, client, &key, wish).await;
        assert_eq!(refused.unwrap_err(), PubSubError::Forbidden);
        assert!(broker.attach(by, client, &key).await.is_err());
        assert!(broker.unsubscribe(by, client, &key).await.is_err());
        assert!(broker.acknowledge(by, client, &key, &[1]).is_err());
        assert!(broker.check_key(by, client, &key).is_err());
    }
    // The pattern is taken away: at once, and what is queued stays.
    let mut none = bound;
    none.patterns.clear();
    broker.set_endpoints(vec![none]);
    let owner = broker.endpoint_by_id(EndpointId(1)).unwrap();
    assert!(broker.pull(&owner, "me", &key, wish).await.is_err());
    assert!(broker.publish(&owner, TOPIC, vec![said("y")]).await.is_err());
    assert_eq!(broker.subscription(&key).unwrap().depth, 1);

    let closed = TopicSettings { is_api_sub_allowed: false, ..TopicSettings::default() };
    broker.put_topic(TopicId(1), TOPIC, closed).await.unwrap();
    let refused = broker.subscribe(&other, TOPIC, Subscribe::default()).await;
    assert_eq!(refused, Err(PubSubError::Forbidden));
    let by_admin = Subscribe { by_admin: true, ..Subscribe::default() };
    let key = broker.subscribe(&other, TOPIC, by_admin).await.unwrap().key;
    let before = broker.topic(TOPIC).unwrap().depth_gd;
    for (active_status, queued, delivered) in [
        (ActiveStatus::PubOnly, 1, 0),
        (ActiveStatus::SubOnly, 0, 1),
        (ActiveStatus::Disabled, 0, 0),
        (ActiveStatus::PubSub, 1, 1),
    ] {
        let settings = SubscriptionSettings { active_status, ..SubscriptionSettings::default() };
        broker.configure_subscription(&key, settings).await.unwrap();
        let depth = broker.subscription(&key).unwrap().depth;
        let wish = Publication { deliver_to_sk: vec![key.clone()], ..guaranteed("z") };
        broker.publish(&broker.internal(), TOPIC, vec![wish]).await.unwrap();
        assert_eq!(broker.subscription(&key).unwrap().depth, depth + queued, "{active_status:?}");
        assert_eq!(pull(&broker, &key).await.len(), delivered, "{active_status:?}");
    }
    assert!(broker.topic(TOPIC).unwrap().depth_gd > before, "what nobody was to get waits");
}

/// Publishes a message that nobody takes; its offset.
async fn said_and_gone(broker: &Broker) -> String {
    publish(broker, "gone").await;
    (broker.topic(TOPIC).unwrap().next_offset - 1).to_string()
}

#[tokio::test(start_paused = true)]
async fn invariant_34_a_takeover_silences_the_former() {
    let (disk, clock) = (SimStore::default(), TestClock::new());
    // Everything is read.
    let broker = open_with(&disk, &clock, BrokerSettings { cache_bytes: 0, ..Default::default() });
    broker.put_topic(TopicId(1), TOPIC, TopicSettings::default()).await.unwrap();
    let key = subscribe(&broker, websocket()).await;
    let mut former = attach(&broker, &key).await;
    publish(&broker, "x").await;
    let with_former = former.next().await.unwrap();
    let mut holder = attach(&broker, &key).await;
    assert_eq!(former.next().await.unwrap_err(), crate::broker::Ended::TakenOver);
    let batch = holder.next().await.unwrap();
    assert_eq!(batch.messages[0].attempt, 2);
    // What the former says of its delivery is not about that of the holder.
    with_former.give_back();
    assert!(pull(&broker, &key).await.is_empty());
    batch.acknowledge();
    for sent in [true, false] {
        broker.delete_message(TOPIC, None, &said_and_gone(&broker).await).await.unwrap();
        publish(&broker, "z").await;
        let with_former = holder.next().await.unwrap();
        assert_eq!((with_former.messages.len(), with_former.gaps.len()), (1, 1));
        former = std::mem::replace(&mut holder, attach(&broker, &key).await);
        if sent {
            with_former.sent()
        } else {
            with_former.acknowledge()
        }
        assert_eq!(broker.subscription(&key).unwrap().depth, 1);
        let batch = holder.next().await.unwrap();
        assert_eq!((texts(&batch.messages), batch.gaps.len()), (vec!["z".to_owned()], 1));
        assert_eq!(batch.messages[0].attempt, 2);
        batch.acknowledge();
    }
    drop(former);
    // One that is reading when it is taken over gets nothing either.
    disk.disk().delay = Duration::from_millis(50);
    publish(&broker, "y").await;
    let (one, two) = tokio::join!(holder.next(), async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        attach(&broker, &key).await.next().await.map(|batch| texts(&batch.messages))
    });
    assert_eq!(
        (one.unwrap_err(), two.unwrap()),
        (crate::broker::Ended::TakenOver, vec!["y".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn invariants_39_41_what_an_operator_does_holds_when_the_call_returns() {
    let (broker, disk, clock) = fresh(TopicSettings::default()).await;
    let key = subscribe(&broker, websocket()).await;
    let mut consumer = attach(&broker, &key).await;
    publish(&broker, "under way").await;
    let batch = consumer.next().await.unwrap();
    publish(&broker, "waits").await;
    assert_eq!(broker.clear_topic(TOPIC).await, Ok(2));
    batch.fail(Failure::Network, "too late");
    broker.put_topic(TopicId(1), "/new", TopicSettings::default()).await.unwrap();
    assert!(broker.topic(TOPIC).is_none());
    drop((consumer, broker));
    let disk = disk.after_crash(0);
    let broker = open(&disk, &clock);
    assert!(pull(&broker, &key).await.is_empty(), "nothing comes back");
    let mut consumer = attach(&broker, &key).await;
    // Also of what was handed over in vain.
    let gaps = consumer.next().await.unwrap().gaps.clone();
    assert_eq!(gaps.iter().map(|it| (it.from, it.to)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
    let me = broker.internal();
    let gone = broker.publish(&me, TOPIC, vec![said("x")]).await;
    assert_eq!(gone, Err(PubSubError::NoSuchTopic(TOPIC.to_owned())));
    disk.disk().delay = Duration::from_millis(5);
    let (removed, published, cleared) = tokio::join!(
        broker.remove_topic(TopicId(1)),
        broker.publish(&me, "/new", vec![guaranteed("x")]),
        broker.clear_topic("/new"),
    );
    assert!(removed.is_ok() && published.is_err() && cleared.is_err());
    drop((consumer, broker));
    let broker = open(&disk.after_crash(usize::MAX), &clock);
    assert!(broker.topics().is_empty(), "what was removed stays so");
}

#[tokio::test(start_paused = true)]
async fn positions_begin_behind_what_a_subscriber_has() {
    let (broker, ..) = fresh(TopicSettings::default()).await;
    let me = broker.internal();
    let keeper = subscribe(&broker, SubscriptionSettings::default()).await;
    for text in ["1", "2", "3", "4"] {
        publish(&broker, text).await;
    }
    let taken = lease(&broker, &keeper, 3, 60).await;
    broker.acknowledge(&me, "", &keeper, &[offsets(&taken)[2]]).unwrap();
    let epoch = broker.topic(TOPIC).unwrap().epoch;
    let start = StartAt::After(crate::id::Position { epoch, offset: 1 });
    let wish = Subscribe { settings: websocket(), start, ..Subscribe::default() };
    let key = broker.subscribe(&me, TOPIC, wish).await.unwrap().key;
    let batch = attach(&broker, &key).await.next().await.unwrap();
    assert_eq!(texts(&batch.messages), ["2", "4"]);
    assert_eq!((batch.gaps.len(), batch.gaps[0].from, batch.gaps[0].to), (1, 3, 3));
}
