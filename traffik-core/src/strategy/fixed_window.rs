use super::{
    SettleError, State, StoredState, Strategy, StrategyError, by_count,
    verdict::{Plain, PreparedRate, Written},
};
use crate::{clock::Timestamp, rate::Rate};

/// Counts the cost in each window of the clock, and starts at zero in the next window.
///
/// The cost admitted in one window never exceeds the limit. Windows are aligned to the Unix epoch, so all processes agree on
/// them. For example, windows of a minute begin with the minute, and windows of a week on Thursday at midnight, UTC. Up to
/// twice the limit can be admitted around the boundary of two windows, in less than a period. Use
/// [`SlidingWindowCounter`](super::SlidingWindowCounter) if that matters.
///
/// If the rate changes to a shorter period, the current window keeps its end.
///
/// ```
/// use traffik::strategy::{AnyStrategy, FixedWindow};
///
/// let strategy = AnyStrategy::from(FixedWindow);
/// assert_eq!(strategy, AnyStrategy::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FixedWindow;

/// The current window. It ends when the state expires.
#[derive(Clone, Copy)]
struct Count {
    start: Timestamp,
    end: Timestamp,
    used: u64,
}

impl Count {
    #[inline(always)]
    const fn read(past: Written) -> Self {
        let [start, used] = past.words;
        Self { start: Timestamp::from_micros(start), end: past.expires, used }
    }

    #[inline(always)]
    const fn words(self) -> [u64; 2] {
        [self.start.as_micros(), self.used]
    }

    const fn write(self) -> State {
        State::new(self.end, self.words())
    }
}

impl Strategy for FixedWindow {
    fn name(&self) -> &'static str {
        "fixed-window"
    }

    fn check(&self, _rate: Rate) -> Result<(), StrategyError> {
        Ok(())
    }

    fn capacity(&self, rate: Rate) -> u64 {
        rate.limit()
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, _now: Timestamp) -> u64 {
        available(past.map(StoredState::written), rate)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        match past {
            Some(past) if cost > self.available(Some(past), rate, now) => past.state.expires(),
            _ => now,
        }
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        self.charged(past.as_ref().map(StoredState::written), &PreparedRate::new(self, rate), cost, now).into()
    }

    /// Gives back all of the cost in its own window, and nothing later.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, _now: Timestamp) -> State {
        let count = Count::read(past.written());
        if charged_at < count.start {
            return past.state;
        }
        Count { used: count.used.saturating_sub(cost), ..count }.write()
    }

    fn settle(
        &self,
        past: Option<StoredState>,
        rate: Rate,
        charged: u64,
        actual: u64,
        charged_at: Timestamp,
        now: Timestamp,
    ) -> Result<State, SettleError> {
        by_count(self, past, rate, charged, actual, charged_at, now)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        let count = Count::read(past.written());
        (now < count.start).then(|| {
            let length = count.end.saturating_since(count.start);
            Count { start: now, end: now.saturating_add(length), ..count }.write()
        })
    }
}

impl Plain for FixedWindow {
    #[inline(always)]
    fn constants(&self, rate: Rate) -> [u64; 2] {
        Window::constants(rate)
    }

    #[inline(always)]
    fn is_later(&self, past: Written, now: Timestamp) -> bool {
        now < Count::read(past).start
    }

    #[inline(always)]
    fn fits_plainly(&self, past: Option<Written>, rate: Rate, cost: u64, _now: Timestamp) -> bool {
        cost <= available(past, rate)
    }

    #[inline(always)]
    fn charged(&self, past: Option<Written>, rate: &PreparedRate, cost: u64, now: Timestamp) -> Written {
        let window = Window::at(now, rate);
        let count = match past.map(Count::read) {
            Some(count) => Count { end: count.end.max(window.end), used: count.used.saturating_add(cost), ..count },
            None => Count { start: window.start, end: window.end, used: cost },
        };
        Written::new(count.end, count.words(), rate.rate())
    }
}

#[inline(always)]
fn available(past: Option<Written>, rate: Rate) -> u64 {
    rate.limit().saturating_sub(past.map_or(0, |past| Count::read(past).used))
}

/// A window `[start, end)` of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Window {
    /// Returns the window that contains `now`. Windows are aligned to the Unix epoch, which was a Thursday.
    #[inline(always)]
    pub(super) fn at(now: Timestamp, rate: &PreparedRate) -> Self {
        let ([reciprocal, _], period) = (rate.constants(), rate.rate().period_micros().max(1));
        let now = now.as_micros();
        // The reciprocal is rounded down: the quotient may be one less than it should be.
        let quotient = ((u128::from(now) * u128::from(reciprocal)) >> u64::BITS) as u64;
        let rest = now.wrapping_sub(quotient.wrapping_mul(period));
        let start = now.saturating_sub(if rest < period { rest } else { rest - period });
        Self { start: Timestamp::from_micros(start), end: Timestamp::from_micros(start.saturating_add(period)) }
    }

    /// Returns the reciprocal of the period, as a fraction of 2^64.
    #[inline]
    pub(super) fn constants(rate: Rate) -> [u64; 2] {
        [u64::MAX / rate.period_micros().max(1), 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_starts_at_the_multiple_of_its_period_before_now() {
        let periods = [1, 2, 3, 7, 1_000_000, 60_000_000, 86_400_000_000, 4_319_999_999_999, 4_320_000_000_000];
        let times = periods.iter().flat_map(|period| [0, 1, 2, 1_000_003].map(|n| period * n));
        let times = times.chain([1_800_000_000_000_000, u64::MAX / 2, u64::MAX]);
        for now in times.flat_map(|time: u64| [time.saturating_sub(1), time, time.saturating_add(1)]) {
            for period in periods {
                let rate = Rate::new(1, std::time::Duration::from_micros(period)).unwrap();
                let window = Window::at(Timestamp::from_micros(now), &PreparedRate::new(&FixedWindow, rate));
                let start = now - now % period;
                assert_eq!(window.start, Timestamp::from_micros(start), "{now} {period}");
                assert_eq!(window.end, Timestamp::from_micros(start.saturating_add(period)), "{now} {period}");
            }
        }
    }
}
