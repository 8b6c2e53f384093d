//! Random numbers that are the same in every run.

use traffik::Rate;

/// Xorshift with a multiplication (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Returns a number from 0 to `most`.
    pub(crate) fn upto(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }

    /// Returns a number from 1 to `most`. Small numbers are as likely as large ones.
    pub(crate) fn of_any_size(&mut self, most: u64) -> u64 {
        let bits = self.upto(63);
        (self.next() >> bits) % most.max(1) + 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T], otherwise: T) -> T {
        let at = usize::try_from(self.upto(choices.len() as u64 - 1)).unwrap_or_default();
        choices.get(at).copied().unwrap_or(otherwise)
    }

    /// Returns one of the values that are always tried, or any.
    pub(crate) fn rate(&mut self) -> Rate {
        if self.upto(2) == 0 {
            return self.pick(super::RATES, Rate::literal("1/s"));
        }
        let (limit, micros) = (self.of_any_size(Rate::MAX_LIMIT), self.of_any_size(50 * 86_400 * 1_000_000));
        Rate::new(limit, std::time::Duration::from_micros(micros)).unwrap_or(Rate::literal("1/s"))
    }

    /// Returns a cost near a boundary of the decision: `remaining` is the amount left, `capacity` the highest possible.
    pub(crate) fn cost(&mut self, remaining: u64, capacity: u64) -> u64 {
        match self.upto(13) {
            0 => 0,
            1 | 2 => 1,
            3 => remaining,
            4 => remaining.saturating_add(1),
            5 => remaining.saturating_sub(1),
            6 => capacity,
            7 => capacity - 1,
            8 => capacity + 1,
            9 => self.of_any_size(u64::MAX),
            10 => u64::MAX,
            11 => self.upto(remaining),
            _ => self.of_any_size(capacity),
        }
    }

    /// Returns a time from `now` on, often at a boundary or a microsecond next to it: at one of `turns`, which are
    /// waits, at the end of a window, or at a whole number of intervals.
    pub(crate) fn later(&mut self, now: u64, rate: Rate, turns: &[u64]) -> u64 {
        let period = rate.period_micros();
        let edge = (now / period + 1 + self.upto(1)) * period;
        let wait = match self.upto(9) {
            0 | 1 => 0,
            2..=4 => self.pick(turns, 0),
            5 => edge - now,
            6 => {
                let count = u128::from(self.of_any_size(rate.limit()));
                u64::try_from(count * u128::from(period) / u128::from(rate.limit())).unwrap_or_default()
            }
            7 => self.upto(period),
            8 => self.of_any_size(period),
            _ => period * (2 + self.upto(3)) + self.upto(period),
        };
        now + wait.saturating_add(self.upto(2)).saturating_sub(1)
    }
}
