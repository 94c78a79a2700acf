//! Right histories from a seed: a broker that keeps its promise, and clients that watch it.
//!
//! Calls overlap, frames lie in pipes before they are read, connections break and are taken over,
//! the server crashes and forgets what it may forget, messages expire and are cleared. Nothing
//! here is checked; the tests give the result to the checker, whole and broken.
//!
//! Invariant: the same seed and length give the same history, whatever the machine.

mod broker;
mod clients;
mod random;

use std::collections::{HashMap, VecDeque};

pub use random::Random;

use crate::event::{Event, Record};
use broker::{Publication, Stored, Subscriber};

/// Microseconds that a frame may lie in a pipe; the histories say so.
const TRANSIT: u64 = 3000;
/// Frames older than this are read at once.
const READ_BY: u64 = 1000;

/// A seeded right history of about `steps` actions.
///
/// It is drained at its end; about one record comes of each action.
pub fn history(seed: u64, steps: usize) -> Vec<Record> {
    let mut world = World::new(seed);
    world.record("harness", Event::Settings { transit: Some(TRANSIT), expiry: Some(TRANSIT) });
    for _ in 0..3 {
        world.subscribe();
    }
    for _ in 0..steps {
        world.step();
    }
    world.finish();
    world.records
}

/// Frames from the server that their client has not read yet.
#[derive(Debug, Clone)]
struct Pipe {
    connection: String,
    frames: VecDeque<(u64, Event)>,
}

/// Broker, clients and what the clients recorded.
#[derive(Debug)]
struct World {
    random: Random,
    now: u64,
    records: Vec<Record>,
    seqs: HashMap<String, u64>,
    names: u64,
    offsets: [u64; 2],
    stored: Vec<Stored>,
    calls: Vec<Publication>,
    subscribers: Vec<Subscriber>,
    cleared: bool,
    /// A clear that an operator has asked for: its name, and whether it was done.
    clear: Option<(String, usize, bool)>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            now: 0,
            records: Vec::new(),
            seqs: HashMap::new(),
            names: 0,
            offsets: [0; 2],
            stored: Vec::new(),
            calls: Vec::new(),
            subscribers: Vec::new(),
            cleared: false,
            clear: None,
        }
    }

    fn record(&mut self, client: &str, event: Event) {
        self.now += 1;
        let seq = self.seqs.entry(client.to_owned()).or_default();
        *seq += 1;
        let record = Record { client: client.to_owned(), seq: *seq, at: self.now, event };
        self.records.push(record);
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn step(&mut self) {
        self.now += self.random.below(8);
        self.read_old_frames();
        match self.random.below(1000) {
            0..100 => self.start_publishing(),
            100..400 => self.go_on_publishing(),
            400..600 => self.deliver(),
            600..850 => self.read(),
            850..930 => self.process_ack(),
            930..950 => self.time_out(),
            950..960 => self.disconnect(),
            960..975 => self.attach(),
            975..980 => self.go_on_attaching(),
            980..983 => self.unsubscribe(),
            983..988 => self.go_on_unsubscribing(),
            988..992 => self.subscribe(),
            992..996 => self.go_on_clearing(),
            996..998 => self.start_clearing(),
            _ if self.random.chance(50) => self.crash(),
            _ => {}
        }
        self.go_on_attaching();
    }

    /// Lets everything come to its end and marks what is drained.
    fn finish(&mut self) {
        while !self.calls.is_empty() {
            self.go_on_publishing();
        }
        while self.clear.is_some() {
            self.go_on_clearing();
        }
        for _ in 0..2 {
            for number in 0..self.subscribers.len() {
                self.attach_one(number);
                self.attach_now(number);
            }
        }
        for number in 0..self.subscribers.len() {
            while self.deliver_to(number)
                || self.read_from(number)
                || self.acknowledge(number)
                || self.let_go(number)
            {}
            if self.subscribers.get(number).is_some_and(Subscriber::lives) {
                let name = self.subscribers.get(number).map(|one| one.name.clone());
                let subscription = name.unwrap_or_default();
                self.record("harness", Event::Drained { subscription });
            }
        }
    }
}
