//! What can happen to a topic.

use proptest::prelude::*;

use crate::settings::ActiveStatus;

/// A message: priority, own time, guarantee, recipients, own id, seconds to expiry.
pub(super) type Fields = (u8, Option<i64>, Option<bool>, Option<u8>, Option<u8>, Option<i64>);

#[derive(Clone, Debug)]
pub(super) enum Op {
    Publish(Vec<Fields>),
    Subscribe(u8, u64, (bool, u8, u32, bool, bool)),
    Unsubscribe(u8),
    Attach(u8),
    Detach(u8),
    Take { who: u8, limit: usize, lease: Option<i64>, hands_over: bool },
    Acknowledge(u8, u16),
    AcknowledgeUpTo(u8, u64),
    Fail(u8, u16, u8),
    GiveBack(u8, u16),
    Postpone(u8, u16),
    Time(i64, i64),
    Delete(Option<u8>, u64),
    Edit(u64, u8),
    Requeue(u8),
    ClearQueue(u8),
    ClearTopic,
    Limits(usize, usize),
    Status(u8, u8),
    Gaps(u8, bool),
    Commit,
    Restart,
    Stop,
    Crash(usize),
}

pub(super) fn status(number: u8) -> ActiveStatus {
    match number % 8 {
        0 => ActiveStatus::PubOnly,
        1 => ActiveStatus::SubOnly,
        2 => ActiveStatus::Disabled,
        _ => ActiveStatus::PubSub,
    }
}

pub(super) fn ops() -> impl Strategy<Value = Op> {
    let message = (
        prop_oneof![3 => Just(5_u8), 1 => 1..10_u8],
        prop::option::weighted(0.15, 990..1_030_i64),
        prop::option::of(any::<bool>()),
        prop::option::weighted(0.2, any::<u8>()),
        prop::option::weighted(0.15, 0..4_u8),
        prop::option::weighted(0.2, 1..40_i64),
    );
    let wishes = (any::<bool>(), any::<u8>(), 1..4_u32, any::<bool>(), any::<bool>());
    let who = 0..4_u8;
    prop_oneof![
        12 => prop::collection::vec(message, 1..5).prop_map(Op::Publish),
        5 => (0..4_u8, 0..30_u64, wishes).prop_map(|(how, at, it)| Op::Subscribe(how, at, it)),
        1 => who.clone().prop_map(Op::Unsubscribe),
        3 => who.clone().prop_map(Op::Attach),
        2 => who.clone().prop_map(Op::Detach),
        14 => (who.clone(), 0..5_usize, prop::option::of(1..20_i64), prop::bool::weighted(0.9))
            .prop_map(|(who, limit, lease, hands_over)| Op::Take { who, limit, lease, hands_over }),
        8 => (who.clone(), any::<u16>()).prop_map(|(who, which)| Op::Acknowledge(who, which)),
        1 => (who.clone(), 0..40_u64).prop_map(|(who, to)| Op::AcknowledgeUpTo(who, to)),
        5 => (who.clone(), any::<u16>(), 0..3_u8).prop_map(|(who, it, how)| Op::Fail(who, it, how)),
        2 => (who.clone(), any::<u16>()).prop_map(|(who, which)| Op::GiveBack(who, which)),
        1 => (who.clone(), any::<u16>()).prop_map(|(who, which)| Op::Postpone(who, which)),
        5 => (0..15_i64, -5..15_i64).prop_map(|(mono, wall)| Op::Time(mono, wall)),
        2 => (prop::option::of(who.clone()), 0..40_u64).prop_map(|(who, at)| Op::Delete(who, at)),
        5 => (0..40_u64, 1..10_u8).prop_map(|(at, priority)| Op::Edit(at, priority)),
        2 => who.clone().prop_map(Op::Requeue),
        1 => who.clone().prop_map(Op::ClearQueue),
        1 => Just(Op::ClearTopic),
        1 => (3..20_usize, 2..10_usize).prop_map(|(gd, others)| Op::Limits(gd, others)),
        1 => (who.clone(), any::<u8>()).prop_map(|(who, status)| Op::Status(who, status)),
        3 => (who, any::<bool>()).prop_map(|(who, told)| Op::Gaps(who, told)),
        5 => Just(Op::Commit),
        1 => Just(Op::Restart),
        1 => Just(Op::Stop),
        2 => (0..8_usize).prop_map(Op::Crash),
    ]
}
