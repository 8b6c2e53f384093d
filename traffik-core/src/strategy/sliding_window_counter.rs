use super::{
    SettleError, State, StoredState, Strategy, StrategyError, by_count,
    exact::{mul_div_ceil, mul_div_floor},
    fixed_window::Window,
    verdict::{Plain, PreparedRate, Written},
};
use crate::{clock::Timestamp, rate::Rate};

/// Counts the cost in two windows of the clock. The older one counts less and less as the newer one passes.
///
/// The cost of the current window counts, plus a share of the previous window: `previous × (period − elapsed) ÷ period`,
/// rounded up, where `elapsed` is the time since the current window began. This is the share that a sliding window of the same
/// length still covers, if the previous window was used evenly. So it is an estimate, with two numbers per client. It does not
/// admit twice the limit around the boundary of two windows: after a full burst, the limit comes back evenly over the next
/// window.
///
/// [Cloudflare described](https://blog.cloudflare.com/counting-things-a-lot-of-different-things/) the estimate. Here it is
/// computed in integers.
///
/// ```
/// use traffik::strategy::{AnyStrategy, SlidingWindowCounter, Strategy};
///
/// let strategy = AnyStrategy::from(SlidingWindowCounter);
/// assert_eq!(strategy.name(), "sliding-window-counter");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlidingWindowCounter;

/// Two adjoining windows. The second one contains `now`.
#[derive(Clone, Copy)]
struct Windows {
    previous: u64,
    current: u64,
    /// The end of the current window.
    end: Timestamp,
    /// The length of each in microseconds: the period of the rate that wrote them.
    length: u64,
}

impl Windows {
    #[inline(always)]
    fn stored(past: Written) -> Self {
        let [previous, current] = past.words;
        let length = past.rate.period_micros();
        let end = Timestamp::from_micros(past.expires.as_micros().saturating_sub(length));
        Self { previous, current, end, length }
    }

    /// Reads the windows at `now`. A current window that has ended becomes the previous one.
    #[inline(always)]
    fn at(past: Written, now: Timestamp) -> Self {
        let stored = Self::stored(past);
        if now < stored.end { stored } else { stored.rolled() }
    }

    #[inline(always)]
    fn rolled(self) -> Self {
        Self { previous: self.current, current: 0, end: self.next_end(), length: self.length }
    }

    #[inline(always)]
    fn next_end(self) -> Timestamp {
        Timestamp::from_micros(self.end.as_micros().saturating_add(self.length))
    }

    #[inline(always)]
    fn start(self) -> u64 {
        self.end.as_micros().saturating_sub(self.length)
    }

    /// Returns the time for which the current window goes on.
    #[inline(always)]
    fn left(self, now: Timestamp) -> u64 {
        self.end.as_micros().saturating_sub(now.as_micros())
    }

    fn used(self, now: Timestamp) -> u64 {
        mul_div_ceil(self.previous, self.left(now), self.length).saturating_add(self.current)
    }

    /// Checks that no more than `most` is used, without a division.
    #[inline(always)]
    fn holds_at_most(self, most: u64, now: Timestamp) -> bool {
        most.checked_sub(self.current).is_some_and(|most| {
            u128::from(self.previous) * u128::from(self.left(now)) <= u128::from(most) * u128::from(self.length)
        })
    }

    /// Returns the first time, up to the end of the current window, at which no more than `most` is used.
    fn fades_to(self, most: u64) -> Option<Timestamp> {
        let from_previous = most.checked_sub(self.current)?;
        let still_inside = match self.previous {
            0 => self.length,
            previous => mul_div_floor(from_previous, self.length, previous).min(self.length),
        };
        Some(Timestamp::from_micros(self.end.as_micros().saturating_sub(still_inside)))
    }

    #[inline(always)]
    const fn words(self) -> [u64; 2] {
        [self.previous, self.current]
    }

    fn write(self) -> State {
        State::new(self.next_end(), self.words())
    }
}

impl Strategy for SlidingWindowCounter {
    fn name(&self) -> &'static str {
        "sliding-window-counter"
    }

    fn check(&self, _rate: Rate) -> Result<(), StrategyError> {
        Ok(())
    }

    fn capacity(&self, rate: Rate) -> u64 {
        rate.limit()
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        let used = past.map_or(0, |past| Windows::at(past.written(), now).used(now));
        rate.limit().saturating_sub(used)
    }

    fn fits(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        self.fits_plainly(past.map(StoredState::written), rate, cost, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        let (Some(past), Some(most)) = (past, rate.limit().checked_sub(cost)) else { return now };
        let windows = Windows::at(past.written(), now);
        let fits = windows.fades_to(most).or_else(|| windows.rolled().fades_to(most));
        fits.unwrap_or(past.state.expires()).max(now)
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        self.charged(past.as_ref().map(StoredState::written), &PreparedRate::new(self, rate), cost, now).into()
    }

    /// Gives back all of the cost while it counts in one of the windows, and nothing later.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, _now: Timestamp) -> State {
        let windows = Windows::stored(past.written());
        let charged_at = charged_at.as_micros();
        if charged_at >= windows.start() {
            Windows { current: windows.current.saturating_sub(cost), ..windows }.write()
        } else if charged_at >= windows.start().saturating_sub(windows.length) {
            Windows { previous: windows.previous.saturating_sub(cost), ..windows }.write()
        } else {
            past.state
        }
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
        let windows = Windows::stored(past.written());
        (now.as_micros() < windows.start()).then(|| {
            let end = Timestamp::from_micros(now.as_micros().saturating_add(windows.length));
            Windows { end, ..windows }.write()
        })
    }
}

impl Plain for SlidingWindowCounter {
    #[inline(always)]
    fn constants(&self, rate: Rate) -> [u64; 2] {
        Window::constants(rate)
    }

    #[inline(always)]
    fn is_later(&self, past: Written, now: Timestamp) -> bool {
        now.as_micros() < Windows::stored(past).start()
    }

    #[inline(always)]
    fn fits_plainly(&self, past: Option<Written>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        let Some(left) = rate.limit().checked_sub(cost) else { return false };
        match past {
            Some(past) => Windows::at(past, now).holds_at_most(left, now),
            None => true,
        }
    }

    #[inline(always)]
    fn charged(&self, past: Option<Written>, rate: &PreparedRate, cost: u64, now: Timestamp) -> Written {
        let length = rate.rate().period_micros();
        let windows = match past {
            Some(past) if past.rate.period_micros() == length => Windows::at(past, now),
            // What counts of windows of another length is carried into the current window.
            past => {
                let current = past.map_or(0, |past| Windows::at(past, now).used(now));
                Windows { previous: 0, current, end: Window::at(now, rate).end, length }
            }
        };
        let windows = Windows { current: windows.current.saturating_add(cost), ..windows };
        Written::new(windows.next_end(), windows.words(), rate.rate())
    }
}
