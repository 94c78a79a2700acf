//! The simulated disk.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// Numbers that look random and are the same every time.
pub(super) struct Seeded(pub(super) u64);

impl Seeded {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % end
    }
}

/// A disk; clones are handles to the same one.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What reads see.
    current: Vec<u8>,
    /// What was there at the last flush.
    flushed: Vec<u8>,
    /// What sectors became since then, one content after the other.
    sectors: BTreeMap<usize, Vec<[u8; SECTOR]>>,
    /// The lengths since then.
    lengths: Vec<usize>,
    operations: usize,
    /// Which of them were flushes.
    flushes: Vec<usize>,
    crash_at: Option<usize>,
    /// How many flushes still succeed, and whether all after that fail.
    failing: Option<(u64, bool)>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// How many writes, flushes and changes of the length there were.
    pub(super) fn operations(&self) -> usize {
        self.state().operations
    }

    /// Which of them were flushes.
    pub(super) fn flushes(&self) -> Vec<usize> {
        self.state().flushes.clone()
    }

    /// From that operation on, that one included, the disk is gone.
    pub(super) fn crash_at(&self, operation: usize) {
        self.state().crash_at = Some(operation);
    }

    /// The flush after `sound` further ones fails, and `always` those after it.
    pub(super) fn fail_flush(&self, sound: u64, always: bool) {
        self.state().failing = Some((sound, always));
    }

    /// A disk as it may be found after the crash.
    pub(super) fn after_crash(&self, random: &mut Seeded) -> Self {
        let state = self.state();
        let mut lengths = state.lengths.clone();
        lengths.push(state.flushed.len());
        let mut found = state.flushed.clone();
        // How much got through differs from crash to crash: nothing, little, most, all.
        let through = [0, 10, 50, 90, 98, 100][random.below(6)];
        let length =
            if through == 100 { state.current.len() } else { lengths[random.below(lengths.len())] };
        found.resize(length, 0);
        for (sector, contents) in &state.sectors {
            if random.below(100) < through {
                let start = sector * SECTOR;
                let end = found.len().min(start + SECTOR);
                if start < end {
                    let last = contents.len() - 1;
                    let which = if through == 100 { last } else { random.below(contents.len()) };
                    let content = contents[which];
                    found[start..end].copy_from_slice(&content[..end - start]);
                }
            }
        }
        let state = State { current: found.clone(), flushed: found, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts an operation that changes something.
    fn change(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operations += 1;
        match state.crash_at {
            Some(at) if state.operations >= at => Err(Error::other("the disk is gone")),
            _ => Ok(state),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.state().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).unwrap();
        let state = self.state();
        let found = state.current.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.change()?;
        let length = usize::try_from(len).unwrap();
        state.current.resize(length, 0);
        state.lengths.push(length);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.change()?;
        let operation = state.operations;
        state.flushes.push(operation);
        match &mut state.failing {
            Some((0, always)) => {
                let always = *always;
                if !always {
                    state.failing = None;
                }
                // What was not flushed stays that way: systems forget it after telling once.
                return Err(Error::other("input/output error"));
            }
            Some((sound, _)) => *sound -= 1,
            None => {}
        }
        state.flushed = state.current.clone();
        state.sectors.clear();
        state.lengths.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.change()?;
        let start = usize::try_from(offset).unwrap();
        let end = start + data.len();
        let State { current, sectors, .. } = &mut *state;
        current.get_mut(start..end).ok_or(ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            let mut content = [0; SECTOR];
            let from = sector * SECTOR;
            let to = current.len().min(from + SECTOR);
            content[..to - from].copy_from_slice(&current[from..to]);
            sectors.entry(sector).or_default().push(content);
        }
        Ok(())
    }
}

const SECTOR: usize = 512;
