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
    }

    /// Takes a bitmap as it was written.
    pub(crate) fn restore(&mut self, chunk: u64, bits: Box<Bits>) {
        if chunk >= self.floor / CHUNK {
            self.chunks.insert(chunk, bits);
        }
    }

    /// What has changed since it was last asked: the floor, and bitmaps, of which `None` is gone.
    pub(crate) fn changes(&mut self) -> (Option<u64>, Chunks) {
        let floor = std::mem::take(&mut self.floor_changed).then_some(self.floor);
        let chunks = std::mem::take(&mut self.chunks_changed).into_iter();
        (floor, chunks.map(|chunk| (chunk, self.chunks.get(&chunk).cloned())).collect())
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

    proptest! {
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
