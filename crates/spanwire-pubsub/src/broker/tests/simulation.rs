//! Publishers and subscribers that work at once, on a disk that loses power: many seeds, and a checker that looks at what
//! each of them saw.

mod checker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::checker::{Event, History};
use super::*;
use crate::broker::{Ended, Published};
use crate::topic::Failure;

/// A generator of numbers that depends on its seed alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (it ^ (it >> 31)) % sides
    }

    fn pause(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.roll(most * 1_000))
    }
}

type Seen = Arc<Mutex<History>>;

fn note(seen: &Seen, event: Event) {
    seen.lock().unwrap_or_else(PoisonError::into_inner).events.push(event);
}

async fn publisher(broker: Broker, seen: Seen, mut dice: Dice, name: String) {
    let me = broker.internal();
    for number in 0.. {
        sleep(dice.pause(30)).await;
        let has_gd = dice.roll(3) > 0;
        let contents: Vec<String> =
            (0..=dice.roll(3)).map(|it| format!("{name}-{number}-{it}")).collect();
        let priority = if dice.roll(8) == 0 { 8 } else { 5 };
        let publications = contents.iter().map(|content| Publication {
            has_gd: Some(has_gd),
            priority: Some(priority),
            ..said(content)
        });
        let publications = publications.collect();
        note(&seen, Event::Asked { contents: contents.clone(), has_gd, priority });
        match broker.publish(&me, TOPIC, publications).await {
            Ok(published) => {
                let offsets = published.iter().map(|it| match it {
                    Published::Accepted { position, .. } => position.offset,
                    Published::Dropped => panic!("nothing is dropped"),
                });
                let all = contents.into_iter().zip(offsets).collect();
                note(&seen, Event::Published { all, has_gd });
            }
            Err(_) => note(&seen, Event::Refused),
        }
    }
}

/// Takes what is pushed, and acknowledges it sooner or later, or not.
async fn pushed(broker: Broker, seen: Seen, mut dice: Dice, who: usize, key: SubKey, id: u64) {
    let me = broker.internal();
    let Ok(mut consumer) = broker.attach(&me, "", &key).await else { return };
    note(&seen, Event::Holds { who, id });
    loop {
        let batch = match timeout(dice.pause(300), consumer.next()).await {
            Ok(Ok(batch)) => batch,
            Ok(Err(Ended::TakenOver)) => return note(&seen, Event::Silenced { who, id }),
            Ok(Err(_)) => return,
            Err(_) if dice.roll(4) == 0 => return,
            Err(_) => continue,
        };
        for it in &batch.messages {
            note(&seen, Event::took(who, id, it));
        }
        for gap in &batch.gaps {
            note(&seen, Event::Gap { who, from: gap.from, to: gap.to });
        }
        let all = offsets(&batch.messages);
        match dice.roll(10) {
            0 => batch.fail(Failure::Network, "lost"),
            1 => batch.fail(Failure::Refused, "no"),
            2 => drop(batch),
            _ => {
                batch.sent();
                sleep(dice.pause(20)).await;
                if broker.acknowledge(&me, "", &key, &all).is_ok() {
                    note(&seen, Event::Acknowledged { who, offsets: all });
                }
                if dice.roll(3) == 0 {
                    let mark = seen.lock().unwrap().events.len();
                    if broker.flush().await.is_ok() {
                        note(&seen, Event::Flushed { who, mark });
                    }
                }
            }
        }
    }
}

async fn pulling(broker: Broker, seen: Seen, mut dice: Dice, who: usize, key: SubKey) {
    let me = broker.internal();
    loop {
        let lease = Some(Duration::from_millis(50 + dice.roll(100)));
        let wish = Pull { limit: 4, lease, wait: dice.pause(200) };
        let Ok(messages) = broker.pull(&me, "", &key, wish).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        for it in &messages {
            note(&seen, Event::took(who, 0, it));
        }
        sleep(dice.pause(80)).await;
        let some: Vec<u64> = offsets(&messages).into_iter().filter(|_| dice.roll(5) > 0).collect();
        if broker.acknowledge(&me, "", &key, &some).is_ok() {
            note(&seen, Event::Acknowledged { who, offsets: some });
        }
    }
}

async fn faults(disk: SimStore, mut dice: Dice) {
    loop {
        sleep(dice.pause(150)).await;
        let what = dice.roll(12);
        disk.disk().delay = if dice.roll(2) == 0 { Duration::ZERO } else { dice.pause(15) };
        if what < 2 {
            disk.disk().is_full = true;
            sleep(dice.pause(60)).await;
            disk.disk().is_full = false;
        }
        disk.disk().fails |= what == 11;
    }
}

async fn scenario(seed: u64, loses_all: bool) -> History {
    let mut dice = Dice(seed);
    let seen = Seen::default();
    let clock = TestClock::new();
    let mut disk = SimStore::default();
    let settings = TopicSettings { max_depth_non_gd: 20, ..TopicSettings::default() };
    let broker = open(&disk, &clock);
    broker.put_topic(TopicId(1), TOPIC, settings.clone()).await.unwrap();
    let fails_fast = |settings: SubscriptionSettings| SubscriptionSettings {
        wait_network_error: Duration::from_millis(30),
        wait_other_error: Duration::from_millis(20),
        batch_size: 5,
        ..settings
    };
    let keys = [
        subscribe(&broker, fails_fast(websocket())).await,
        subscribe(&broker, fails_fast(SubscriptionSettings::default())).await,
    ];
    drop(broker);
    let rounds = 3 + dice.roll(3);
    let mut id = 0;
    for round in 0..rounds {
        let broker = open(&disk, &clock);
        broker.put_topic(TopicId(1), TOPIC, settings.clone()).await.unwrap();
        let mut tasks = JoinSet::new();
        for number in 0..2 {
            let (broker, seen, dice) =
                (broker.clone(), Arc::clone(&seen), Dice(dice.roll(u64::MAX)));
            tasks.spawn(publisher(broker, seen, dice, format!("{round}-{number}")));
        }
        let (pull_dice, fault_dice) = (Dice(dice.roll(u64::MAX)), Dice(dice.roll(u64::MAX)));
        tasks.spawn(pulling(broker.clone(), Arc::clone(&seen), pull_dice, 1, keys[1].clone()));
        tasks.spawn(faults(disk.clone(), fault_dice));
        for _ in 0..=dice.roll(4) {
            id += 1;
            let (broker, seen, key) = (broker.clone(), Arc::clone(&seen), keys[0].clone());
            tasks.spawn(pushed(broker, seen, Dice(dice.roll(u64::MAX)), 0, key, id));
            sleep(dice.pause(250)).await;
        }
        if dice.roll(4) == 0 {
            disk.disk().is_full = false;
            let is_clean = broker.close().await.is_ok();
            if !is_clean {
                note(&seen, Event::Crashed);
            }
            tasks.abort_all();
            disk = disk.after_crash(if is_clean { 0 } else { disk.unsynced() });
        } else {
            let kept = usize::try_from(dice.roll(disk.unsynced() as u64 + 1)).unwrap();
            disk = disk.after_crash(if loses_all { 0 } else { kept });
            note(&seen, Event::Crashed);
            tasks.abort_all();
        }
        while tasks.join_next().await.is_some() {}
        drop(broker);
        // Whoever sets the clock of the server changes nothing.
        clock.set_by(dice.roll(200_000_000) as i64 - 100_000_000);
    }
    drain(&disk, &clock, &keys, settings, &seen).await;
    std::mem::take(&mut *seen.lock().unwrap())
}

/// In the end everybody gets what is left.
async fn drain(
    disk: &SimStore,
    clock: &TestClock,
    keys: &[SubKey],
    settings: TopicSettings,
    seen: &Seen,
) {
    let broker = open(disk, clock);
    broker.put_topic(TopicId(1), TOPIC, settings).await.unwrap();
    let mut consumer = attach(&broker, &keys[0]).await;
    note(seen, Event::Holds { who: 0, id: u64::MAX });
    while let Ok(batch) = timeout(Duration::from_secs(900), consumer.next()).await {
        let batch = batch.unwrap();
        batch.messages.iter().for_each(|it| note(seen, Event::took(0, u64::MAX, it)));
        for gap in &batch.gaps {
            note(seen, Event::Gap { who: 0, from: gap.from, to: gap.to });
        }
        batch.acknowledge();
    }
    loop {
        let taken = pull(&broker, &keys[1]).await;
        taken.iter().for_each(|it| note(seen, Event::took(1, 0, it)));
        if taken.is_empty() {
            break;
        }
    }
    let left = broker.topic(TOPIC).unwrap();
    assert_eq!((left.depth_gd, left.depth_non_gd), (0, 0));
    broker.close().await.unwrap();
    let is_message =
        |record: &crate::store::Record| matches!(record, crate::store::Record::Message(..));
    assert!(!disk.records().iter().any(is_message), "what nobody needs is off the disk");
}

fn run(seed: u64, loses_all: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    let history = runtime.block_on(scenario(seed, loses_all));
    if let Err(wrong) = history.check() {
        panic!("seed {seed}, loses all {loses_all}: {wrong}");
    }
}

#[test]
fn invariants_01_02_03_04_06_14_17_34_hold_when_any_prefix_survives_a_crash() {
    (0..150).for_each(|seed| run(seed, false));
}

#[test]
fn invariants_01_02_03_04_06_14_17_34_hold_when_all_that_is_not_forced_is_lost() {
    (10_000..10_150).for_each(|seed| run(seed, true));
}
