//! How long to wait before connecting again. It reads no clock and draws no numbers.

use std::time::Duration;

/// Pauses that grow by half, each shortened by chance so that many clients do not come back at once.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most: most.max(first), next: first }
    }

    /// The pause before the next try: between half of its length and all of it, by `chance` from 0 to 1.
    pub(super) fn pause(&mut self, chance: f64) -> Duration {
        let pause = self.next.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        self.next = self.next.mul_f64(1.5).min(self.most);
        pause
    }

    /// The longest pause, shortened by chance: where trying soon would not help.
    pub(super) fn longest(&mut self, chance: f64) -> Duration {
        self.next = self.most;
        self.pause(chance)
    }

    /// It went well for a while.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    proptest! {
        #[test]
        fn pauses_grow_within_bounds(most in 1_u64..1_000, chances in proptest::collection::vec(0.0..=1.0, 1..50)) {
            let most = Duration::from_secs(most);
            let mut backoff = Backoff::new(SECOND, most);
            for (number, chance) in chances.iter().enumerate() {
                let whole = SECOND.mul_f64(1.5_f64.powi(i32::try_from(number).unwrap())).min(most);
                let pause = backoff.pause(*chance);
                let tolerance = Duration::from_micros(1);
                prop_assert!(pause + tolerance >= whole / 2 && pause <= whole + tolerance, "{number}: {pause:?}");
            }
            prop_assert!(backoff.longest(1.0) == most);
            backoff.reset();
            prop_assert!(backoff.pause(1.0) == SECOND);
        }
    }
}
