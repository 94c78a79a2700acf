//! In which order changes are stored, and what a tick makes to be stored.

use super::check::World;
use super::{SECOND, Wish, Wishes};
use crate::id::SubscriptionId;
use crate::settings::ActiveStatus;
use crate::store::Change;

fn world() -> World {
    let mut world = World::new();
    let status = ActiveStatus::PubSub;
    let wishes =
        Wishes { websocket: true, status, max_attempts: 9, blocks: false, positions: true };
    world.subscribe(0, 0, wishes);
    world.subscribe(0, 0, wishes);
    world
}

fn wish(own: Option<u8>) -> Wish {
    Wish { priority: 5, ext: None, gd: Some(true), to: None, own, expires_at: None }
}

#[test]
fn a_message_is_deleted_behind_what_says_that_nobody_needs_it() {
    let mut world = world();
    world.publish(&[wish(None), wish(None)]);
    world.commit(Vec::new());
    for id in 1..=2 {
        world.topic.acknowledge(SubscriptionId(id), &[1]);
    }
    world.topic.delete(None, 2);
    let changes = world.topic.take_changes();
    let is_delete = |it: &Change| matches!(it, Change::Delete(..));
    let first = changes.iter().position(is_delete).unwrap();
    assert!(changes[..first].iter().any(|it| matches!(it, Change::PutGap(..))));
    let is_of_a_subscription = |it: &Change| {
        matches!(it, Change::PutFloor(..) | Change::PutGap(..) | Change::PutAcked(..))
    };
    assert!(!changes[first..].iter().any(is_of_a_subscription), "{changes:?}");
}

#[test]
fn a_tick_touches_those_alone_that_something_is_due_of() {
    let mut world = world();
    world.publish(&[wish(Some(1))]);
    world.take(1, 1, Some(130), true);
    world.commit(Vec::new());
    world.now.wall += 121 * SECOND;
    world.now.monotonic += 121 * SECOND;
    world.topic.tick(world.now);
    assert!(world.topic.touched.is_empty());
    assert_eq!(world.topic.take_changes().len(), 1, "the id is forgotten");
    assert_eq!(world.topic.next_due(world.now), Some(world.now.monotonic + 9 * SECOND));
    world.now.monotonic += 9 * SECOND;
    world.topic.tick(world.now);
    assert_eq!(
        world.topic.touched.take_unstored().into_iter().map(|it| it.0).collect::<Vec<_>>(),
        [1]
    );
}
