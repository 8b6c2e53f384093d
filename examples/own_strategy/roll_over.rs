//! A quota whose unused part is not lost.

use traffik::{
    Rate,
    clock::Timestamp,
    strategy::{State, StoredState, Strategy, StrategyError},
};

/// Up to the limit in each window of the clock, and what was saved: the part of earlier windows that was not used, up to
/// `saved`. Whoever is new has saved all of it.
///
/// What is stored is how much of both is used, and the window that was the current one then. Each window that begins gives
/// back as much as the limit, so that the rest is arithmetic.
#[derive(Debug)]
pub(crate) struct RollOver {
    pub(crate) saved: u64,
}

/// How much is used, in the window that begins at `start`. Both are whole microseconds and numbers: nothing drifts.
struct Used {
    start: u64,
    used: u64,
}

impl Used {
    fn stored(past: &StoredState) -> Self {
        let [start, used] = past.state.words();
        Self { start, used }
    }

    /// In the window of `now`, by the rate at which it was stored: with what came back since.
    fn at(past: &StoredState, now: Timestamp) -> Self {
        let Self { start, used } = Self::stored(past);
        let windows = now.as_micros().saturating_sub(start) / past.rate.period_micros();
        let came_back = windows.saturating_mul(past.rate.limit());
        Self { start: start.saturating_add(windows * past.rate.period_micros()), used: used.saturating_sub(came_back) }
    }

    /// When no more than `most` is used: each window gives back as much as the limit.
    fn falls_to(&self, most: u64, rate: Rate) -> Timestamp {
        let windows = self.used.saturating_sub(most).div_ceil(rate.limit());
        Timestamp::from_micros(self.start.saturating_add(windows.saturating_mul(rate.period_micros())))
    }

    /// It says nothing any more once nothing is used.
    fn write(&self, rate: Rate) -> State {
        State::new(self.falls_to(0, rate), [self.start, self.used])
    }
}

impl Strategy for RollOver {
    fn name(&self) -> &'static str {
        "roll-over"
    }

    /// All of it comes back within a hundred years, and so is far from what 64 bits hold.
    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        let windows = u128::from(self.saved / rate.limit().max(1)) + 1;
        if windows * u128::from(rate.period_micros()) > 100 * 365 * 86_400 * 1_000_000 {
            return Err(StrategyError::new(self.name(), "what is saved comes back in 100 years at most: save less"));
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
        // Under another rate its windows are others, and what is used stays used.
        let used = match past.map(|past| (past.rate.period() == rate.period(), Used::at(&past, now))) {
            Some((true, used)) => used,
            Some((false, Used { used, .. })) => Used { start: window, used },
            None => Used { start: window, used: 0 },
        };
        Used { used: used.used.saturating_add(cost), ..used }.write(rate)
    }

    /// What it cost, less all that may have come back of it in the windows that began since.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        let Used { start, used } = Used::stored(&past);
        let period = past.rate.period_micros();
        let begun_until = |time: Timestamp| time.as_micros().saturating_sub(start % period) / period;
        let windows = begun_until(now).saturating_sub(begun_until(charged_at));
        let came_back = windows.saturating_mul(past.rate.limit());
        Used { start, used: used.saturating_sub(cost.saturating_sub(came_back)) }.write(past.rate)
    }

    /// A window that has not begun yet begins now.
    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        let Used { start, used } = Used::stored(past);
        (now.as_micros() < start).then(|| Used { start: now.as_micros(), used }.write(past.rate))
    }
}

/// A strategy needs neither a clock nor a store to be tried out.
#[cfg(test)]
mod tests {
    use traffik::strategy::AnyStrategy;

    use super::*;

    const RATE: Rate = Rate::literal("3/day");

    /// Asks on each of these days for so much at once, and tells what is left then.
    fn left(asked: &[(u64, u64)]) -> Vec<u64> {
        let (strategy, mut past) = (AnyStrategy::custom(RollOver { saved: 4 }), None);
        let mut left = Vec::new();
        for &(day, cost) in asked {
            let now = Timestamp::from_micros(day * 86_400_000_000);
            let verdict = strategy.decide(past.take(), RATE, cost, now);
            assert!(verdict.admitted, "{cost} on day {day}");
            past = verdict.past;
            left.push(strategy.available(past.as_ref(), RATE, now));
        }
        left
    }

    #[test]
    fn what_is_not_used_is_saved_up_to_the_most() {
        assert_eq!(left(&[(0, 7), (1, 1), (2, 0), (3, 0), (9, 2)]), [0, 2, 5, 7, 5]);
    }

    #[test]
    fn it_is_refused_until_the_window_that_gives_enough_back() {
        let strategy = AnyStrategy::custom(RollOver { saved: 4 });
        let at = |micros| Timestamp::from_micros(micros);
        let past = strategy.decide(None, RATE, 7, at(5)).past;
        let then = strategy.available_at(past.as_ref(), RATE, 4, at(5));
        assert_eq!(then, at(2 * 86_400_000_000), "two windows give back six");
        assert!(!strategy.decide(past.clone(), RATE, 4, at(then.as_micros() - 1)).admitted);
        assert!(strategy.decide(past, RATE, 4, then).admitted);
    }

    #[test]
    fn what_did_not_come_back_by_itself_is_given_back() {
        let (strategy, [noon, evening, tomorrow]) =
            (RollOver { saved: 4 }, [12, 20, 36].map(|hour| Timestamp::from_micros(hour * 3_600_000_000)));
        let left = |now| {
            let state = strategy.charge(None, RATE, 5, noon);
            let state = strategy.refund(StoredState { state, rate: RATE }, 5, noon, now);
            strategy.available(Some(&StoredState { state, rate: RATE }), RATE, now)
        };
        assert_eq!([noon, evening, tomorrow].map(left), [7; 3]);

        // Somebody used what came back, and that stays used.
        let state = strategy.charge(None, RATE, 3, noon);
        let state = strategy.charge(Some(StoredState { state, rate: RATE }), RATE, 7, tomorrow);
        let state = strategy.refund(StoredState { state, rate: RATE }, 3, noon, tomorrow);
        assert_eq!(strategy.available(Some(&StoredState { state, rate: RATE }), RATE, tomorrow), 0);
    }

    #[test]
    fn a_clock_that_goes_back_opens_nothing() {
        let strategy = AnyStrategy::custom(RollOver { saved: 4 });
        let past = strategy.decide(None, RATE, 7, Timestamp::from_micros(900_000_000_000)).past;
        assert!(!strategy.decide(past, RATE, 1, Timestamp::from_micros(1)).admitted);
    }

    #[test]
    fn more_than_is_given_back_in_a_lifetime_cannot_be_saved() {
        assert!(RollOver { saved: 100_000 }.check(RATE).is_ok());
        assert!(RollOver { saved: 200_000 }.check(RATE).is_err());
    }
}
