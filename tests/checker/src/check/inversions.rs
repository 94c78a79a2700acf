//! Pairs that stand in the wrong order, found in O(n log n).
//!
//! Knows nothing of messages: things come in a sequence, each with a key, the time `sent` at
//! which it was certainly not yet sent, and the time `known` from when on it could have been.

/// One thing of the sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<K> {
    pub(super) key: K,
    /// It was sent at this time or later.
    pub(super) sent: u64,
    /// It could have been sent from this time on; `None` when that is not known.
    pub(super) known: Option<u64>,
}

/// For each item that an earlier one should have waited for: the places (earlier, item).
///
/// That is: the earlier has the greater key, and was sent when the item was already known.
pub(super) fn inversions<K: Ord + Copy>(items: &[Item<K>]) -> Vec<(usize, usize)> {
    // The common case costs one pass.
    if items.windows(2).all(|pair| matches!(pair, [a, b] if a.key <= b.key)) {
        return Vec::new();
    }
    let mut keys: Vec<K> = items.iter().map(|item| item.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut latest = Latest { tree: vec![None; keys.len() + 1] };
    let mut pairs = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let rank = keys.len() - keys.partition_point(|key| *key < item.key);
        let greater = latest.below(rank);
        if let (Some((sent, earlier)), Some(known)) = (greater, item.known)
            && known < sent
        {
            pairs.push((earlier, place));
        }
        latest.insert(rank, (item.sent, place));
    }
    pairs
}

/// A Fenwick tree of maxima; ranks count from 1, the greatest key has rank 1.
struct Latest {
    tree: Vec<Option<(u64, usize)>>,
}

impl Latest {
    fn insert(&mut self, rank: usize, value: (u64, usize)) {
        let mut place = rank;
        while let Some(slot) = self.tree.get_mut(place) {
            *slot = (*slot).max(Some(value));
            place += place & place.wrapping_neg();
        }
    }

    /// The maximum of all ranks below this one.
    fn below(&self, rank: usize) -> Option<(u64, usize)> {
        let mut place = rank.saturating_sub(1);
        let mut highest = None;
        while place > 0 {
            highest = highest.max(self.tree.get(place).copied().flatten());
            place -= place & place.wrapping_neg();
        }
        highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, tried for every pair of small sequences.
    #[test]
    fn every_item_with_a_witness_is_found() {
        let mut state = 7_u64;
        let mut random = move |bound: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % bound
        };
        for _ in 0..2000 {
            let items: Vec<_> = (0..random(9))
                .map(|_| Item { key: random(5), sent: random(10), known: Some(random(10)) })
                .collect();
            let wrong = |i: &Item<u64>, j: &Item<u64>| i.key > j.key && j.known < Some(i.sent);
            let expected: Vec<usize> = (0..items.len())
                .filter(|j| items[..*j].iter().any(|i| wrong(i, &items[*j])))
                .collect();
            let found = inversions(&items);
            assert_eq!(found.iter().map(|pair| pair.1).collect::<Vec<_>>(), expected);
            assert!(found.iter().all(|(i, j)| i < j && wrong(&items[*i], &items[*j])));
        }
    }
}
