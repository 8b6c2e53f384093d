//! Random numbers that are the same in every run, and cluster around the values where an outcome changes.

use std::time::Duration;

use traffik_core::rate::Rate;

/// Xorshift with a multiplication (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Returns a number from 0 to `most`, which is less than `u64::MAX`.
    pub(super) fn upto(&mut self, most: u64) -> u64 {
        self.next() % most.saturating_add(1)
    }

    /// Returns a number from 1 to `most`. Small numbers are as likely as large ones.
    pub(super) fn of_any_size(&mut self, most: u64) -> u64 {
        let bits = self.upto(63);
        (self.next() >> bits) % most.max(1) + 1
    }

    pub(super) fn pick<'a, T>(&mut self, first: &'a T, others: &'a [T]) -> &'a T {
        let at = usize::try_from(self.upto(others.len() as u64)).unwrap_or_default();
        std::iter::once(first).chain(others).nth(at).unwrap_or(first)
    }

    /// Returns a cost near a bound: `remaining` is what is left, and `capacity` is the maximum.
    pub(super) fn cost(&mut self, remaining: u64, capacity: u64) -> u64 {
        match self.upto(10) {
            0 => 0,
            1 | 2 => 1,
            3 => remaining,
            4 => remaining.saturating_add(1),
            5 => remaining.saturating_sub(1),
            6 => capacity,
            7 => capacity.saturating_add(1),
            8 => u64::MAX,
            9 => self.upto(remaining),
            _ => self.of_any_size(capacity),
        }
    }

    /// Returns a time until something changes, or a microsecond more or less: one of `turns`, the end of a window after
    /// `now`, or a whole number of intervals.
    pub(super) fn wait(&mut self, now: u64, rate: Rate, turns: &[Duration]) -> Duration {
        let period = rate.period_micros();
        let wait = match self.upto(7) {
            0 | 1 => 0,
            2 | 3 => micros(*self.pick(&Duration::ZERO, turns)),
            4 => period - now % period,
            5 => {
                let intervals = u128::from(self.of_any_size(rate.limit()));
                u64::try_from(intervals * u128::from(period) / u128::from(rate.limit())).unwrap_or(period)
            }
            6 => self.upto(period),
            _ => period * 2 + self.upto(period),
        };
        Duration::from_micros(wait.saturating_add(self.upto(2)).saturating_sub(1))
    }
}

fn micros(wait: Duration) -> u64 {
    u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)
}
