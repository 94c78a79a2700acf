//! In which order changes are stored.

use super::check::World;
use super::{Wish, Wishes};
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
