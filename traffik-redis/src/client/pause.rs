//! How long to wait before connecting is tried again.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Duration,
};

/// Pauses that double, up to a bound: who comes back is found within a fifth of a second.
pub(super) struct Pause(Duration);

impl Pause {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(150);
    const SETTLED: Duration = Duration::from_secs(1);

    pub(super) fn shortest() -> Self {
        Self(Self::SHORTEST)
    }

    /// What lasted is no reason any more to hesitate before the next.
    pub(super) fn after(&mut self, lasted: Duration) {
        if lasted > Self::SETTLED {
            *self = Self::shortest();
        }
    }

    /// The next one, and up to a third more, by chance: not everybody is to come back at the same time.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (2 * pause).min(Self::LONGEST);
        let chance = RandomState::new().build_hasher().finish() % 1024;
        pause + pause.mul_f64(chance as f64 / 3072.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let mut pause = Pause::shortest();
        let pauses: Vec<_> = (0..100).map(|_| pause.next()).collect();
        assert!(pauses[0] < 2 * Pause::SHORTEST);
        assert!(pauses.iter().all(|&pause| pause <= Pause::LONGEST.mul_f64(4.0 / 3.0)), "{pauses:?}");
        assert!(pauses[99] >= Pause::LONGEST);
    }
}
