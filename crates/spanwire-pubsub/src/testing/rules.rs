//! The rules, one function each.

use super::*;

type Rule = fn(&dyn MessageStore);

/// All of them, by name.
pub(super) const ALL: &[(&str, Rule)] = &[
    ("records come in the order of their kinds", records_come_in_the_order_of_their_kinds),
    ("records come back as they were given", records_come_back_as_they_were_given),
    ("messages come topic by topic in the order of offsets", messages_come_in_order),
    ("the last change of a record counts", the_last_change_of_a_record_counts),
    ("changes of a batch are applied in their order", changes_apply_in_their_order),
    ("batches are applied in the order of the calls", batches_apply_in_the_order_of_the_calls),
    ("a batch counts even if its future is dropped", a_batch_counts_when_its_future_is_dropped),
    ("nothing in place of a record removes it", nothing_removes_a_record),
    ("a topic takes its own ids and its next offset with it", a_topic_takes_its_own_with_it),
    ("a topic leaves messages and subscriptions", a_topic_leaves_messages_and_subscriptions),
    ("a subscription takes everything of it along", a_subscription_takes_everything_along),
    ("removing what is not there is no error", removing_what_is_not_there_is_no_error),
    ("a message that is fetched is what was given", what_is_fetched_is_what_was_given),
    ("fetching answers in the order of the question", fetching_answers_in_order),
    ("a message is fetched once its batch is applied", a_message_is_fetched_once_applied),
    ("a message that is appended again is another one", a_message_can_be_replaced),
    ("empty batches are no error", empty_batches_are_no_error),
    ("many and large changes fit into a batch", large_batches_fit),
    ("a healthy log says so", a_healthy_log_says_so),
];

fn one_of_each() -> (Vec<Change>, Vec<Record>) {
    let (topic, subscription) = (topic_record("/a"), subscription_record(1, "zpsk.a"));
    let changes = vec![
        Change::Append(TOPIC, 5, message(b"five")),
        Change::PutOwnId(TOPIC, u128::MAX - 1, Some(own_id(5))),
        Change::PutGap(SUBSCRIPTION, 3, Some(gap(4))),
        Change::PutDead(SUBSCRIPTION, 5, Some(letter("no"))),
        Change::PutAttempts(SUBSCRIPTION, 5, 3),
        Change::PutAcked(SUBSCRIPTION, 2, Some(bits(4095))),
        Change::PutFloor(SUBSCRIPTION, 8),
        Change::PutSubscription(SUBSCRIPTION, subscription.clone()),
        Change::PutNext(TOPIC, 6),
        Change::PutTopic(TOPIC, topic.clone()),
    ];
    let records = vec![
        Record::Topic(TOPIC, topic, 6),
        Record::Subscription(SUBSCRIPTION, subscription, 8),
        Record::Acked(SUBSCRIPTION, 2, bits(4095)),
        Record::Attempts(SUBSCRIPTION, 5, 3),
        Record::Dead(SUBSCRIPTION, 5, letter("no")),
        Record::Gap(SUBSCRIPTION, 3, gap(4)),
        Record::OwnId(TOPIC, u128::MAX - 1, own_id(5)),
        Record::Message(TOPIC, 5, message(b"five")),
    ];
    (changes, records)
}

/// What a start reads of a message is its header; what is behind it may be left out.
fn without_contents(records: Vec<Record>) -> Vec<(Option<Header>, Record)> {
    let plain = |record| match record {
        Record::Message(topic, offset, stored) => {
            (Some(stored.header().unwrap()), Record::Message(topic, offset, message(b"")))
        }
        other => (None, other),
    };
    records.into_iter().map(plain).collect()
}

fn kind(record: &Record) -> usize {
    match record {
        Record::Topic(..) => 0,
        Record::Subscription(..) => 1,
        Record::Acked(..) => 2,
        Record::Attempts(..) => 3,
        Record::Dead(..) => 4,
        Record::Gap(..) => 5,
        Record::OwnId(..) => 6,
        Record::Message(..) => 7,
    }
}

fn records_come_in_the_order_of_their_kinds(store: &dyn MessageStore) {
    for number in 1..4 {
        let id = SubscriptionId(number);
        force(
            store,
            vec![
                Change::Append(TopicId(number), 1, message(b"x")),
                Change::PutSubscription(id, subscription_record(number, "zpsk.x")),
                Change::PutAttempts(id, 1, 1),
                Change::PutGap(id, 1, Some(gap(1))),
                Change::PutTopic(TopicId(number), topic_record("/x")),
                Change::PutOwnId(TopicId(number), 1, Some(own_id(1))),
            ],
        );
    }
    let kinds: Vec<usize> = all(store).iter().map(kind).collect();
    assert_eq!(kinds.len(), 18);
    assert!(kinds.is_sorted(), "{kinds:?}");
}

fn records_come_back_as_they_were_given(store: &dyn MessageStore) {
    let (changes, records) = one_of_each();
    force(store, changes);
    assert_eq!(without_contents(all(store)), without_contents(records));
}

fn messages_come_in_order(store: &dyn MessageStore) {
    let given = [(2, 1), (1, 300), (1, 2), (2, u64::MAX), (1, 256), (256, 3), (1, 1), (2, 65_536)];
    for topic in [1, 2, 256] {
        force(store, vec![Change::PutTopic(TopicId(topic), topic_record(&topic.to_string()))]);
    }
    for (topic, offset) in given {
        force(store, vec![Change::Append(TopicId(topic), offset, message(b"m"))]);
    }
    let messages: Vec<(u64, u64)> = all(store)
        .into_iter()
        .filter_map(|record| match record {
            Record::Message(topic, offset, _) => Some((topic.0, offset)),
            _ => None,
        })
        .collect();
    let mut sorted = given.to_vec();
    sorted.sort_by_key(|(topic, offset)| {
        // Topics may come in any order, each of them at once.
        let first = messages.iter().position(|(of, _)| of == topic);
        (first, *offset)
    });
    assert_eq!(messages, sorted);
}

fn the_last_change_of_a_record_counts(store: &dyn MessageStore) {
    let (changes, _) = one_of_each();
    force(store, changes);
    let (topic, subscription) = (topic_record("/b"), subscription_record(1, "zpsk.b"));
    force(
        store,
        vec![
            Change::PutTopic(TOPIC, topic.clone()),
            Change::PutNext(TOPIC, 99),
            Change::PutSubscription(SUBSCRIPTION, subscription.clone()),
            Change::PutFloor(SUBSCRIPTION, 1),
            Change::PutAcked(SUBSCRIPTION, 2, Some(bits(0))),
            Change::PutAttempts(SUBSCRIPTION, 5, 4),
            Change::PutDead(SUBSCRIPTION, 5, Some(letter("never"))),
            Change::PutGap(SUBSCRIPTION, 3, Some(gap(9))),
            Change::PutOwnId(TOPIC, u128::MAX - 1, Some(own_id(6))),
        ],
    );
    let expected = vec![
        Record::Topic(TOPIC, topic, 99),
        Record::Subscription(SUBSCRIPTION, subscription, 1),
        Record::Acked(SUBSCRIPTION, 2, bits(0)),
        Record::Attempts(SUBSCRIPTION, 5, 4),
        Record::Dead(SUBSCRIPTION, 5, letter("never")),
        Record::Gap(SUBSCRIPTION, 3, gap(9)),
        Record::OwnId(TOPIC, u128::MAX - 1, own_id(6)),
        Record::Message(TOPIC, 5, message(b"five")),
    ];
    assert_eq!(without_contents(all(store)), without_contents(expected));
}

fn changes_apply_in_their_order(store: &dyn MessageStore) {
    force(
        store,
        vec![
            Change::PutTopic(TOPIC, topic_record("/a")),
            Change::Append(TOPIC, 1, message(b"gone")),
            Change::Delete(TOPIC, 1),
            Change::Delete(TOPIC, 2),
            Change::Append(TOPIC, 2, message(b"there")),
            Change::PutAttempts(SUBSCRIPTION, 1, 1),
            Change::DeleteSubscription(SUBSCRIPTION),
            Change::PutSubscription(SUBSCRIPTION, subscription_record(1, "zpsk.a")),
            Change::PutFloor(SUBSCRIPTION, 3),
        ],
    );
    assert_eq!(fetch(store, 1, &[1, 2]), [None, Some(message(b"there"))]);
    let expected = vec![
        Record::Topic(TOPIC, topic_record("/a"), 0),
        Record::Subscription(SUBSCRIPTION, subscription_record(1, "zpsk.a"), 3),
        Record::Message(TOPIC, 2, message(b"there")),
    ];
    assert_eq!(without_contents(all(store)), without_contents(expected));
}

fn batches_apply_in_the_order_of_the_calls(store: &dyn MessageStore) {
    let batch = |content: u8| vec![Change::Append(TOPIC, 1, message(&[content]))];
    let lazy = store.commit(batch(1), Durability::Lazy);
    let second = store.commit(batch(2), Durability::Lazy);
    let last = store.commit(batch(3), Durability::Forced);
    // Polled the other way round.
    wait(last).unwrap();
    assert_eq!(fetch(store, 1, &[1]), [Some(message(&[3]))]);
    wait(second).unwrap();
    wait(lazy).unwrap();
    assert_eq!(fetch(store, 1, &[1]), [Some(message(&[3]))]);
}

fn a_batch_counts_when_its_future_is_dropped(store: &dyn MessageStore) {
    drop(store.commit(vec![Change::Append(TOPIC, 1, message(b"a"))], Durability::Lazy));
    drop(store.commit(vec![Change::Append(TOPIC, 2, message(b"b"))], Durability::Forced));
    force(store, Vec::new());
    assert_eq!(fetch(store, 1, &[1, 2]), [Some(message(b"a")), Some(message(b"b"))]);
}

fn nothing_removes_a_record(store: &dyn MessageStore) {
    let (changes, _) = one_of_each();
    force(store, changes);
    force(
        store,
        vec![
            Change::PutAcked(SUBSCRIPTION, 2, None),
            Change::PutAttempts(SUBSCRIPTION, 5, 0),
            Change::PutDead(SUBSCRIPTION, 5, None),
            Change::PutGap(SUBSCRIPTION, 3, None),
            Change::PutOwnId(TOPIC, u128::MAX - 1, None),
            Change::Delete(TOPIC, 5),
        ],
    );
    let kinds: Vec<usize> = all(store).iter().map(kind).collect();
    assert_eq!(kinds, [0, 1]);
}

fn a_topic_takes_its_own_with_it(store: &dyn MessageStore) {
    let other = TopicId(2);
    force(
        store,
        vec![
            Change::PutTopic(TOPIC, topic_record("/a")),
            Change::PutNext(TOPIC, 9),
            Change::PutOwnId(TOPIC, 1, Some(own_id(1))),
            Change::PutTopic(other, topic_record("/b")),
            Change::PutNext(other, 10),
            Change::PutOwnId(other, 1, Some(own_id(2))),
        ],
    );
    force(store, vec![Change::DeleteTopic(TOPIC)]);
    let expected =
        vec![Record::Topic(other, topic_record("/b"), 10), Record::OwnId(other, 1, own_id(2))];
    assert_eq!(all(store), expected);
    force(store, vec![Change::PutTopic(TOPIC, topic_record("/a"))]);
    let nexts = all(store).into_iter().filter_map(|record| match record {
        Record::Topic(TOPIC, _, next) => Some(next),
        _ => None,
    });
    assert_eq!(nexts.collect::<Vec<_>>(), [0], "of its successor");
}

fn a_topic_leaves_messages_and_subscriptions(store: &dyn MessageStore) {
    let (changes, _) = one_of_each();
    force(store, changes);
    force(store, vec![Change::DeleteTopic(TOPIC)]);
    // Messages without a topic are shown or not: nobody wants them, and they are deleted by changes of their own.
    let kinds = all(store).iter().map(kind).filter(|kind| *kind != 7).collect::<Vec<_>>();
    assert_eq!(kinds, [1, 2, 3, 4, 5], "they are deleted by changes of their own");
}

fn a_subscription_takes_everything_along(store: &dyn MessageStore) {
    let of = |number: u64| {
        let id = SubscriptionId(number);
        vec![
            Change::PutSubscription(id, subscription_record(1, "zpsk.a")),
            Change::PutFloor(id, 1),
            Change::PutAcked(id, 0, Some(bits(1))),
            Change::PutAcked(id, u64::MAX, Some(bits(1))),
            Change::PutAttempts(id, 1, 1),
            Change::PutAttempts(id, u64::MAX, 1),
            Change::PutDead(id, 1, Some(letter("a"))),
            Change::PutGap(id, 1, Some(gap(1))),
        ]
    };
    force(store, [of(1), of(2), of(256)].concat());
    force(store, vec![Change::DeleteSubscription(SubscriptionId(1))]);
    let left = all(store);
    assert_eq!(left.len(), 14, "{left:?}");
    let is_of_first = |record: &Record| {
        matches!(
            record,
            Record::Subscription(SUBSCRIPTION, ..)
                | Record::Acked(SUBSCRIPTION, ..)
                | Record::Attempts(SUBSCRIPTION, ..)
                | Record::Dead(SUBSCRIPTION, ..)
                | Record::Gap(SUBSCRIPTION, ..)
        )
    };
    assert!(!left.iter().any(is_of_first), "{left:?}");
}

fn removing_what_is_not_there_is_no_error(store: &dyn MessageStore) {
    force(
        store,
        vec![
            Change::Delete(TOPIC, 1),
            Change::DeleteTopic(TOPIC),
            Change::DeleteSubscription(SUBSCRIPTION),
            Change::PutAcked(SUBSCRIPTION, 1, None),
            Change::PutAttempts(SUBSCRIPTION, 1, 0),
            Change::PutDead(SUBSCRIPTION, 1, None),
            Change::PutGap(SUBSCRIPTION, 1, None),
            Change::PutOwnId(TOPIC, 1, None),
        ],
    );
    assert_eq!(all(store), []);
}

fn what_is_fetched_is_what_was_given(store: &dyn MessageStore) {
    let contents: Vec<Vec<u8>> =
        [0, 1, 255, 256, 4_095, 4_096, 70_000].map(|length| vec![0xA5; length]).into();
    for (offset, content) in (1..).zip(&contents) {
        force(store, vec![Change::Append(TOPIC, offset, message(content))]);
    }
    let offsets: Vec<u64> = (1..=contents.len() as u64).collect();
    let expected: Vec<_> = contents.iter().map(|content| Some(message(content))).collect();
    assert_eq!(fetch(store, 1, &offsets), expected);
}

fn fetching_answers_in_order(store: &dyn MessageStore) {
    let append = |offset: u8| Change::Append(TOPIC, u64::from(offset), message(&[offset]));
    force(store, (1..6).map(append).collect());
    force(store, vec![Change::Append(TopicId(2), 3, message(b"other"))]);
    let found = fetch(store, 1, &[5, 9, 1, 3, 5]);
    let expected = [Some(5), None, Some(1), Some(3), Some(5)];
    assert_eq!(found, expected.map(|it: Option<u8>| it.map(|it| message(&[it]))));
    assert_eq!(fetch(store, 1, &[]), []);
    assert_eq!(fetch(store, 7, &[1]), [None]);
}

fn a_message_is_fetched_once_applied(store: &dyn MessageStore) {
    commit(store, vec![Change::Append(TOPIC, 1, message(b"lazy"))], Durability::Lazy);
    assert_eq!(fetch(store, 1, &[1]), [Some(message(b"lazy"))]);
    commit(store, vec![Change::Delete(TOPIC, 1)], Durability::Lazy);
    assert_eq!(fetch(store, 1, &[1]), [None]);
}

fn a_message_can_be_replaced(store: &dyn MessageStore) {
    force(store, vec![Change::PutTopic(TOPIC, topic_record("/a"))]);
    force(store, vec![Change::Append(TOPIC, 1, message(b"before"))]);
    force(store, vec![Change::Append(TOPIC, 1, message(b"after, and longer"))]);
    assert_eq!(fetch(store, 1, &[1]), [Some(message(b"after, and longer"))]);
    assert_eq!(all(store).len(), 2);
}

fn empty_batches_are_no_error(store: &dyn MessageStore) {
    commit(store, Vec::new(), Durability::Lazy);
    force(store, Vec::new());
    assert_eq!(all(store), []);
}

fn large_batches_fit(store: &dyn MessageStore) {
    let large = message(&vec![7; 2_000_000]);
    let mut batch: Vec<Change> =
        (1..=5_000).map(|offset| Change::Append(TOPIC, offset, message(b"small"))).collect();
    batch.push(Change::Append(TOPIC, 5_001, large.clone()));
    force(store, batch);
    assert_eq!(fetch(store, 1, &[5_001, 5_000]), [Some(large), Some(message(b"small"))]);
    force(store, (1..=5_001).map(|offset| Change::Delete(TOPIC, offset)).collect());
    assert_eq!(all(store), []);
}

fn a_healthy_log_says_so(store: &dyn MessageStore) {
    force(store, vec![Change::PutTopic(TOPIC, topic_record("/a"))]);
    assert_eq!(store.health(), Ok(()));
}
