//! A quota whose unused part is saved.

use traffik::{
    Rate,
    clock::Timestamp,
    strategy::{State, StoredState, Strategy, StrategyError},
};

/// Admits up to the limit in each window of the clock, and in addition what was not used in earlier windows, up to `saved`.
/// A new client starts with `saved`.
///
/// The state is the usage of both, and the window in which it was written. Each new window gives back as much as the limit.
#[derive(Debug)]
pub(crate) struct RollOver {
    pub(crate) saved: u64,
}

/// The usage in the window that begins at `start`. Both are integers: nothing drifts.
struct Used {
    start: u64,
    used: u64,
}

impl Used {
    fn stored(past: &StoredState) -> Self {
        let [start, used] = past.state.words();
        Self { start, used }
    }

    /// Returns the usage in the window of `now`, at the rate of the state: less what the windows since gave back.
    fn at(past: &StoredState, now: Timestamp) -> Self {
        let Self { start, used } = Self::stored(past);
        let windows = now.as_micros().saturating_sub(start) / past.rate.period_micros();
        let returned = windows.saturating_mul(past.rate.limit());
        Self { start: start.saturating_add(windows * past.rate.period_micros()), used: used.saturating_sub(returned) }
    }

    /// Returns when at most `most` is used: each window gives back as much as the limit.
    fn falls_to(&self, most: u64, rate: Rate) -> Timestamp {
        let windows = self.used.saturating_sub(most).div_ceil(rate.limit());
        Timestamp::from_micros(self.start.saturating_add(windows.saturating_mul(rate.period_micros())))
    }

    /// The state expires once nothing is used.
    fn write(&self, rate: Rate) -> State {
        State::new(self.falls_to(0, rate), [self.start, self.used])
    }
}

impl Strategy for RollOver {
    fn name(&self) -> &'static str {
        "roll-over"
    }

    /// Everything returns within a hundred years, so all times are far below the maximum of 64 bits.
    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        let windows = u128::from(self.saved / rate.limit().max(1)) + 1;
        if windows * u128::from(rate.period_micros()) > 100 * 365 * 86_400 * 1_000_000 {
            return Err(StrategyError::new(self.name(), "saved mails must return within 100 years: save less"));
        }
        Ok(())
    }

    fn capacity(&self, rate: Rate) -> u64 {
        rate.limit().saturating_add(self.saved)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        let used = past.map_or(0, |past| Used::at(past, now).used);
        self.capacity(rate).saturating_sub(used)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        let most = self.capacity(rate).saturating_sub(cost);
        past.map_or(now, |past| Used::at(past, now).falls_to(most, past.rate).max(now))
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        let window = now.as_micros() - now.as_micros() % rate.period_micros();
        // Another rate has other windows. The usage stays.
        let used = match past.map(|past| (past.rate.period() == rate.period(), Used::at(&past, now))) {
            Some((true, used)) => used,
            Some((false, Used { used, .. })) => Used { start: window, used },
            None => Used { start: window, used: 0 },
        };
        Used { used: used.used.saturating_add(cost), ..used }.write(rate)
    }

    /// Gives back the cost, less what may have returned in the windows that began since the charge.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        let Used { start, used } = Used::stored(&past);
        let period = past.rate.period_micros();
        let begun_until = |time: Timestamp| time.as_micros().saturating_sub(start % period) / period;
        let windows = begun_until(now).saturating_sub(begun_until(charged_at));
        let returned = windows.saturating_mul(past.rate.limit());
        Used { start, used: used.saturating_sub(cost.saturating_sub(returned)) }.write(past.rate)
    }

    /// Moves a window that has not begun yet to now.
    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        let Used { start, used } = Used::stored(past);
        (now.as_micros() < start).then(|| Used { start: now.as_micros(), used }.write(past.rate))
    }
}

/// Tests of a strategy need no clock and no store.
#[cfg(test)]
mod tests {
    use traffik::strategy::AnyStrategy;

    use super::*;

    const RATE: Rate = Rate::literal("3/day");

    /// Charges each cost on its day, and returns what is left after each.
    fn left(charges: &[(u64, u64)]) -> Vec<u64> {
        let (strategy, mut past) = (AnyStrategy::custom(RollOver { saved: 4 }), None);
        let mut left = Vec::new();
        for &(day, cost) in charges {
            let now = Timestamp::from_micros(day * 86_400_000_000);
            let verdict = strategy.decide(past.take(), RATE, cost, now);
            assert!(verdict.admitted, "{cost} on day {day}");
            past = verdict.past;
            left.push(strategy.available(past.as_ref(), RATE, now));
        }
        left
    }

    #[test]
    fn unused_quota_is_saved_up_to_the_maximum() {
        assert_eq!(left(&[(0, 7), (1, 1), (2, 0), (3, 0), (9, 2)]), [0, 2, 5, 7, 5]);
    }

    #[test]
    fn refused_client_waits_for_the_window_that_gives_enough_back() {
        let strategy = AnyStrategy::custom(RollOver { saved: 4 });
        let at = |micros| Timestamp::from_micros(micros);
        let past = strategy.decide(None, RATE, 7, at(5)).past;
        let then = strategy.available_at(past.as_ref(), RATE, 4, at(5));
        assert_eq!(then, at(2 * 86_400_000_000), "two windows give back six");
        assert!(!strategy.decide(past.clone(), RATE, 4, at(then.as_micros() - 1)).admitted);
        assert!(strategy.decide(past, RATE, 4, then).admitted);
    }

    #[test]
    fn refund_gives_back_what_has_not_returned() {
        let (strategy, [noon, evening, tomorrow]) =
            (RollOver { saved: 4 }, [12, 20, 36].map(|hour| Timestamp::from_micros(hour * 3_600_000_000)));
        let left = |now| {
            let state = strategy.charge(None, RATE, 5, noon);
            let state = strategy.refund(StoredState { state, rate: RATE }, 5, noon, now);
            strategy.available(Some(&StoredState { state, rate: RATE }), RATE, now)
        };
        assert_eq!([noon, evening, tomorrow].map(left), [7; 3]);

        // The client used what had returned, and this usage stays.
        let state = strategy.charge(None, RATE, 3, noon);
        let state = strategy.charge(Some(StoredState { state, rate: RATE }), RATE, 7, tomorrow);
        let state = strategy.refund(StoredState { state, rate: RATE }, 3, noon, tomorrow);
        assert_eq!(strategy.available(Some(&StoredState { state, rate: RATE }), RATE, tomorrow), 0);
    }

    #[test]
    fn clock_that_goes_back_opens_nothing() {
        let strategy = AnyStrategy::custom(RollOver { saved: 4 });
        let past = strategy.decide(None, RATE, 7, Timestamp::from_micros(900_000_000_000)).past;
        assert!(!strategy.decide(past, RATE, 1, Timestamp::from_micros(1)).admitted);
    }

    #[test]
    fn quota_that_returns_too_slowly_is_an_error() {
        assert!(RollOver { saved: 100_000 }.check(RATE).is_ok());
        assert!(RollOver { saved: 200_000 }.check(RATE).is_err());
    }
}
