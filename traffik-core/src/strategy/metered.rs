//! The strategies that are one meter. They differ in its size.

use std::{fmt, time::Duration};

use super::{
    SettleError, State, StoredState, Strategy, StrategyError,
    exact::mul_div_ceil,
    meter::Meter,
    verdict::{Plain, PreparedRate, Written},
};
use crate::{clock::Timestamp, rate::Rate};

/// Takes the cost of each request from a bucket of tokens that fills evenly, at the rate.
///
/// The bucket holds [`burst`](Self::burst) tokens. A client that was idle may spend them without waiting, and continues at the
/// rate. The bucket fills continuously: at `60/min` one token comes back per second, and at `7/s` one per seventh of a second.
///
/// ```
/// use traffik::{Rate, clock::Timestamp, strategy::{Strategy, TokenBucket}};
///
/// let rate = Rate::literal("100/min");
/// let bucket = TokenBucket::new().burst(150);
/// assert_eq!(bucket.available(None, rate, Timestamp::UNIX_EPOCH), 150);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct TokenBucket {
    burst: Option<u64>,
    debt: u64,
}

/// `TokenBucket::new()`, so that `strategy = TokenBucket` needs no call.
#[expect(non_upper_case_globals, reason = "it is written like the strategies without settings")]
pub const TokenBucket: TokenBucket = TokenBucket::new();

impl TokenBucket {
    /// Creates a bucket that holds as many tokens as the limit.
    pub const fn new() -> Self {
        Self { burst: None, debt: 0 }
    }

    /// Sets the number of tokens that the bucket holds. Defaults to the limit.
    pub const fn burst(self, burst: u64) -> Self {
        Self { burst: Some(burst), ..self }
    }

    /// Enlarges the bucket by `debt` tokens. Defaults to 0.
    ///
    /// `burst(10).debt(20)` gives the same results as `burst(30)`.
    pub const fn debt(self, debt: u64) -> Self {
        Self { debt, ..self }
    }
}

impl Metered for TokenBucket {
    const NAME: &'static str = "token-bucket";

    #[inline]
    fn size(&self, rate: Rate) -> u64 {
        self.burst.unwrap_or_else(|| rate.limit()).saturating_add(self.debt)
    }
}

/// Adds the cost of each request to a bucket that leaks evenly, at the rate. Refuses what would overflow the bucket.
///
/// It is the leaky bucket as a meter: it delays nothing. The bucket holds its [`capacity`](Self::capacity). A
/// [`TokenBucket`](struct@TokenBucket) of the same size admits the same requests.
///
/// ```
/// use traffik::{Rate, clock::Timestamp, strategy::{LeakyBucket, Strategy}};
///
/// let rate = Rate::literal("100/min");
/// let bucket = LeakyBucket::new().capacity(20);
/// assert_eq!(bucket.available(None, rate, Timestamp::UNIX_EPOCH), 20);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct LeakyBucket {
    capacity: Option<u64>,
}

/// `LeakyBucket::new()`, so that `strategy = LeakyBucket` needs no call.
#[expect(non_upper_case_globals, reason = "it is written like the strategies without settings")]
pub const LeakyBucket: LeakyBucket = LeakyBucket::new();

impl LeakyBucket {
    /// Creates a bucket that holds the limit.
    pub const fn new() -> Self {
        Self { capacity: None }
    }

    /// Sets the cost that the bucket holds. Defaults to the limit.
    pub const fn capacity(self, capacity: u64) -> Self {
        Self { capacity: Some(capacity) }
    }
}

impl Metered for LeakyBucket {
    const NAME: &'static str = "leaky-bucket";

    #[inline]
    fn size(&self, rate: Rate) -> u64 {
        self.capacity.unwrap_or_else(|| rate.limit())
    }
}

/// Spaces requests evenly: at `60/min` it admits one request per second.
///
/// It is the [generic cell rate algorithm](https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm) (ATM Forum, Traffic
/// Management Specification 4.0, 1996). A client that was idle may send a [`burst`](Self::burst) without spacing. The burst is
/// also the highest cost of a request.
///
/// ```
/// use traffik::{Rate, clock::Timestamp, strategy::{Gcra, Strategy}};
///
/// let rate = Rate::literal("60/min");
/// assert_eq!(Gcra::new().available(None, rate, Timestamp::UNIX_EPOCH), 1);
/// assert_eq!(Gcra::new().burst(5).available(None, rate, Timestamp::UNIX_EPOCH), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Gcra {
    burst: u64,
}

/// `Gcra::new()`, so that `strategy = Gcra` needs no call.
#[expect(non_upper_case_globals, reason = "it is written like the strategies without settings")]
pub const Gcra: Gcra = Gcra::new();

impl Gcra {
    /// Creates a strategy with a burst of 1.
    pub const fn new() -> Self {
        Self { burst: 1 }
    }

    /// Sets the cost that is admitted without spacing. Defaults to 1.
    pub const fn burst(self, burst: u64) -> Self {
        Self { burst }
    }
}

impl Default for Gcra {
    fn default() -> Self {
        Self::new()
    }
}

impl Metered for Gcra {
    const NAME: &'static str = "gcra";

    #[inline]
    fn size(&self, _rate: Rate) -> u64 {
        self.burst
    }
}

/// The longest time in which a meter may drain.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The highest cost of a settlement. Stores that compute with floating-point numbers are exact below 2^52.
const MAX_COST: u64 = (1 << 52) - 1;

/// A strategy that admits what fits into its meter.
pub(super) trait Metered: fmt::Debug + Send + Sync + 'static {
    const NAME: &'static str;

    /// Returns the highest level of the meter.
    fn size(&self, rate: Rate) -> u64;
}

/// Checks that a meter of this size is exact.
pub(super) fn check_size(strategy: &'static str, size: u64, rate: Rate) -> Result<(), StrategyError> {
    if size == 0 || size > Rate::MAX_LIMIT {
        let reason = format!("a size of {size} is out of bounds: it is at least 1 and at most {}", Rate::MAX_LIMIT);
        return Err(StrategyError::new(strategy, reason));
    }
    let drain_time = Duration::from_micros(mul_div_ceil(size, rate.period_micros(), rate.limit()));
    if drain_time > MAX_DRAIN_TIME {
        let reason = format!(
            "{size} at {rate} would take {} to come back, and the longest is 100 years: lower the size or raise the rate",
            humantime::format_duration(Duration::from_secs(drain_time.as_secs())),
        );
        return Err(StrategyError::new(strategy, reason));
    }
    Ok(())
}

/// Charges the difference to a higher cost, whether it fits or not.
pub(super) fn overdraw(
    strategy: &impl Strategy,
    past: Option<StoredState>,
    rate: Rate,
    charged: u64,
    actual: u64,
    now: Timestamp,
) -> Result<State, SettleError> {
    let state = strategy.charge(past, rate, actual.saturating_sub(charged), now);
    if actual > MAX_COST || state.expires() > now.saturating_add(MAX_DRAIN_TIME) {
        let most = "what drains in 100 years, and less than 2^52";
        return Err(SettleError::TooMuch { strategy: strategy.name(), actual, most });
    }
    Ok(state)
}

impl<M: Metered> Strategy for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        check_size(M::NAME, self.size(rate), rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        self.size(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        let level = past.map_or(0, |past| Meter::read(past.written(), rate).level(now));
        self.size(rate).saturating_sub(level)
    }

    fn fits(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        self.fits_plainly(past.map(StoredState::written), rate, cost, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        let most = self.size(rate).saturating_sub(cost);
        // At a slower rate the meter would drain for longer than it is stored.
        past.map_or(now, |past| Meter::read(past.written(), rate).drains_to(most).min(past.state.expires()).max(now))
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        self.charged(past.as_ref().map(StoredState::written), &PreparedRate::new(self, rate), cost, now).into()
    }

    /// Gives back the cost, less what may have drained of it since.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        Meter::read(past.written(), past.rate).lowered(cost, 0, now.saturating_since(charged_at)).write().into()
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
        match past {
            Some(past) if actual < charged => {
                let since = now.saturating_since(charged_at);
                Ok(Meter::read(past.written(), past.rate).lowered(charged, actual, since).write().into())
            }
            past => overdraw(self, past, rate, charged, actual, now),
        }
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        Meter::clamped_to(past.written(), now).map(|meter| meter.write().into())
    }
}

impl<M: Metered> Plain for M {
    #[inline(always)]
    fn constants(&self, rate: Rate) -> [u64; 2] {
        Meter::constants(rate)
    }

    #[inline(always)]
    fn is_later(&self, past: Written, now: Timestamp) -> bool {
        Meter::is_later(past, now)
    }

    #[inline(always)]
    fn fits_plainly(&self, past: Option<Written>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        let Some(left) = self.size(rate).checked_sub(cost) else { return false };
        match past {
            Some(past) => Meter::read(past, rate).holds_at_most(left, now),
            None => true,
        }
    }

    #[inline(always)]
    fn charged(&self, past: Option<Written>, rate: &PreparedRate, cost: u64, now: Timestamp) -> Written {
        let meter = match past {
            Some(past) => Meter::read(past, rate.rate()).at_rate(rate.rate(), now),
            None => Meter::empty(rate.rate(), now),
        };
        meter.filled_at(rate, cost, now).write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_without_exact_arithmetic_is_refused() {
        let rate = Rate::literal("1/day");
        assert!(TokenBucket::new().burst(36_500).check(rate).is_ok());
        let error = TokenBucket::new().burst(36_501).check(rate).unwrap_err().to_string();
        assert!(error.contains("100 years"), "{error}");
        let error = LeakyBucket::new().capacity(0).check(rate).unwrap_err().to_string();
        assert!(error.contains("at least 1"), "{error}");
        assert!(TokenBucket::new().burst(u64::MAX).debt(u64::MAX).check(rate).is_err());
    }

    #[test]
    fn capacity_is_the_configured_one() {
        let rate = Rate::literal("100/min");
        assert_eq!(TokenBucket::new().capacity(rate), 100);
        assert_eq!(TokenBucket::new().burst(150).debt(50).capacity(rate), 200);
        assert_eq!(Strategy::capacity(&LeakyBucket::new(), rate), 100);
        assert_eq!(Strategy::capacity(&LeakyBucket::new().capacity(7), rate), 7);
        assert_eq!((Gcra::new().capacity(rate), Gcra::new().burst(3).capacity(rate)), (1, 3));
    }
}
