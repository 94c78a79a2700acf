//! Which offsets of a topic a subscription is done with: everything below a floor, and a bitmap above it.
//!
//! A queue that is worked off in order needs the floor alone; priorities and retries leave holes, which take a bit each.
//! It knows what has changed since it was last written, so that an acknowledgement costs one small record.

use std::collections::{BTreeMap, BTreeSet};

/// The offsets a bitmap holds.
pub(crate) const CHUNK: u64 = 4096;

/// The bits of [`CHUNK`] offsets.
pub(crate) type Bits = [u64; 64];

/// Bitmaps by their number; `None` is one that is gone.
pub(crate) type Chunks = Vec<(u64, Option<Box<Bits>>)>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Acked {
    floor: u64,
    chunks: BTreeMap<u64, Box<Bits>>,
    floor_changed: bool,
    chunks_changed: BTreeSet<u64>,
    /// Bitmaps that were given to the store: others need not be deleted there.
    chunks_stored: BTreeSet<u64>,
}

impl Acked {
    /// Done with everything below this offset.
    pub(crate) fn starting_at(floor: u64) -> Self {
        Self { floor, ..Self::default() }
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    pub(crate) fn contains(&self, offset: u64) -> bool {
        if offset < self.floor {
            return true;
        }
        let (chunk, word, bit) = split(offset);
        let bits = self.chunks.get(&chunk).and_then(|bits| bits.get(word));
        bits.is_some_and(|bits| bits & bit != 0)
    }

    /// Marks an offset; tells whether it was not marked before.
    pub(crate) fn insert(&mut self, offset: u64) -> bool {
        if offset < self.floor {
            return false;
        }
        let (chunk, word, bit) = split(offset);
        let bits = self.chunks.entry(chunk).or_insert_with(|| Box::new([0; 64]));
        let Some(bits) = bits.get_mut(word) else { return false };
        let is_new = *bits & bit == 0;
        *bits |= bit;
        if is_new {
            self.chunks_changed.insert(chunk);
        }
        is_new
    }

    /// Marks all offsets of a range that ends before `to`.
    pub(crate) fn insert_range(&mut self, from: u64, to: u64) {
        let mut offset = from.max(self.floor);
        while offset < to {
            let (chunk, word, bit) = split(offset);
            let bits = self.chunks.entry(chunk).or_insert_with(|| Box::new([0; 64]));
            let Some(bits) = bits.get_mut(word) else { return };
            let left = to - offset;
            let upward = !(bit - 1);
            let wanted = match 64 - offset % 64 {
                rest if left < rest => upward & ((bit << left) - 1),
                _ => upward,
            };
            if *bits & wanted != wanted {
                *bits |= wanted;
                self.chunks_changed.insert(chunk);
            }
            offset = (offset / 64 + 1) * 64;
        }
    }

    /// The first offset from here on, and before `end`, that is not marked.
    pub(crate) fn next_unmarked(&self, from: u64, end: u64) -> Option<u64> {
        let mut offset = from.max(self.floor);
        while offset < end {
            let (chunk, word, bit) = split(offset);
            let Some(bits) = self.chunks.get(&chunk) else { return Some(offset) };
            let unmarked = !bits.get(word).copied().unwrap_or(0) & !(bit - 1);
            if unmarked != 0 {
                let found = offset / 64 * 64 + u64::from(unmarked.trailing_zeros());
                return Some(found).filter(|found| *found < end);
            }
            offset = (offset / 64 + 1) * 64;
        }
        None
    }

    /// The first offset from here on that is marked, or `end`.
    pub(crate) fn next_marked(&self, from: u64, end: u64) -> u64 {
        let mut offset = from;
        while offset < end && !self.contains(offset) {
            let (chunk, word, bit) = split(offset);
            let bits = self.chunks.get(&chunk);
            let marked = bits.and_then(|bits| bits.get(word)).copied().unwrap_or(0) & !(bit - 1);
            offset = match (bits, marked) {
                (None, _) => (chunk + 1) * CHUNK,
                (_, 0) => (offset / 64 + 1) * 64,
                (_, marked) => offset / 64 * 64 + u64::from(marked.trailing_zeros()),
            };
        }
        offset.min(end)
    }

    /// Offsets before `end` that are not marked, from one on.
    pub(crate) fn unmarked(&self, from: u64, end: u64) -> impl Iterator<Item = u64> + '_ {
        let next = move |after: &u64| self.next_unmarked(after.saturating_add(1), end);
        std::iter::successors(self.next_unmarked(from, end), next)
    }

    /// Marks everything below an offset.
    pub(crate) fn raise(&mut self, floor: u64) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        self.floor_changed = true;
        let kept = self.chunks.split_off(&(floor / CHUNK));
        let gone = std::mem::replace(&mut self.chunks, kept);
        self.chunks_changed.extend(gone.into_keys());
        // What is worked off in order is written as a floor alone.
        let (chunk, word, bit) = split(floor);
        let holds_nothing = |bits: &Bits| {
            let above = bits.iter().enumerate().skip(word);
            above.fold(0, |all, (at, it)| all | if at == word { it & !(bit - 1) } else { *it }) == 0
        };
        if self.chunks.get(&chunk).is_some_and(|bits| holds_nothing(bits)) {
            self.chunks.remove(&chunk);
            self.chunks_changed.insert(chunk);
        }
    }

    /// Takes a bitmap as it was written.
    pub(crate) fn restore(&mut self, chunk: u64, bits: Box<Bits>) {
        self.chunks_stored.insert(chunk);
        match chunk >= self.floor / CHUNK {
            true => drop(self.chunks.insert(chunk, bits)),
            false => drop(self.chunks_changed.insert(chunk)),
        }
    }

    /// What has changed since it was last asked: the floor, and bitmaps, of which `None` is gone.
    pub(crate) fn changes(&mut self) -> (Option<u64>, Chunks) {
        let floor = std::mem::take(&mut self.floor_changed).then_some(self.floor);
        let mut changed = Chunks::new();
        for chunk in std::mem::take(&mut self.chunks_changed) {
            let bits = self.chunks.get(&chunk).cloned();
            match &bits {
                Some(_) => drop(self.chunks_stored.insert(chunk)),
                None if self.chunks_stored.remove(&chunk) => {}
                None => continue,
            }
            changed.push((chunk, bits));
        }
        (floor, changed)
    }
}

fn split(offset: u64) -> (u64, usize, u64) {
    let within = usize::try_from(offset % CHUNK).unwrap_or_default();
    (offset / CHUNK, within / 64, 1 << (within % 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_worked_off_in_order_is_written_as_a_floor_alone() {
        let mut acked = Acked::starting_at(1);
        for offset in 1..10_000 {
            acked.insert(offset);
            acked.raise(offset + 1);
            if offset % 7 == 0 {
                assert_eq!(acked.changes(), (Some(offset + 1), Vec::new()));
            }
        }
        assert!(acked.chunks.is_empty());
    }

    proptest! {
        #[test]
        fn ranges_are_what_their_offsets_are(
            ranges in prop::collection::vec((0..9_000_u64, 0..600_u64), 0..30),
            floor in 0..5_000_u64,
            from in 0..10_000_u64,
        ) {
            let mut acked = Acked::starting_at(floor);
            let mut model: BTreeSet<u64> = (0..floor).collect();
            for (start, length) in ranges {
                acked.insert_range(start, start + length);
                model.extend(start..start + length);
            }
            let end = 10_000;
            let unmarked: Vec<u64> = (from..end).filter(|it| !model.contains(it)).collect();
            prop_assert_eq!(acked.unmarked(from, end).collect::<Vec<_>>(), unmarked);
            let marked = (from..end).find(|it| model.contains(it)).unwrap_or(end);
            prop_assert_eq!(acked.next_marked(from, end), marked);
            acked.raise(from);
            let left: Vec<u64> = (from.max(floor)..end).filter(|it| !model.contains(it)).collect();
            prop_assert_eq!(acked.unmarked(0, end).collect::<Vec<_>>(), left);
        }

        #[test]
        fn it_is_a_set_and_its_changes_restore_it(
            steps in prop::collection::vec((any::<bool>(), 0..20_000_u64, any::<bool>()), 0..200),
        ) {
            let (mut acked, mut model) = (Acked::starting_at(3), BTreeSet::new());
            let (mut floor, mut disk) = (3, BTreeMap::new());
            let mut model_floor = 3;
            for (raises, offset, writes) in steps {
                if raises {
                    acked.raise(offset);
                    model_floor = model_floor.max(offset);
                } else {
                    let is_new = offset >= model_floor && model.insert(offset);
                    prop_assert_eq!(acked.insert(offset), is_new);
                }
                if writes {
                    let (new_floor, chunks) = acked.changes();
                    floor = new_floor.unwrap_or(floor);
                    for (chunk, bits) in chunks {
                        match bits {
                            Some(bits) => drop(disk.insert(chunk, bits)),
                            None => drop(disk.remove(&chunk)),
                        }
                    }
                    let mut restored = Acked::starting_at(floor);
                    disk.iter().for_each(|(chunk, bits)| restored.restore(*chunk, bits.clone()));
                    for offset in (0..20_000).step_by(7).chain(model.iter().copied()) {
                        let expected = offset < model_floor || model.contains(&offset);
                        prop_assert_eq!(acked.contains(offset), expected);
                        prop_assert_eq!(restored.contains(offset), expected);
                    }
                }
            }
        }
    }
}
