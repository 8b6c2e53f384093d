use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Duration,
};

/// The wait before the next attempt. It doubles up to 150 ms, so a server that is back is found soon.
pub(super) struct Backoff(Duration);

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(150);
    const SETTLED: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self(Self::SHORTEST)
    }

    /// Starts over if the connection lasted for a second.
    pub(super) fn after(&mut self, lasted: Duration) {
        if lasted > Self::SETTLED {
            *self = Self::new();
        }
    }

    /// Returns the next wait. Adds up to a third at random, so that clients do not all return at the same moment.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (2 * wait).min(Self::LONGEST);
        let random = RandomState::new().build_hasher().finish() % 1024;
        wait + wait.mul_f64(random as f64 / 3072.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(waits[0] < 2 * Backoff::SHORTEST);
        assert!(waits.iter().all(|&wait| wait <= Backoff::LONGEST.mul_f64(4.0 / 3.0)), "{waits:?}");
        assert!(waits[99] >= Backoff::LONGEST);
    }
}
