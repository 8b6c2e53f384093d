use super::{Log, SettleError, State, StoredState, Strategy, StrategyError, by_difference};
use crate::{clock::Timestamp, rate::Rate};

/// Stores each charge for a period, and admits what fits in addition to the stored charges. It is exact, but needs memory.
///
/// The cost admitted in any span `(t - period, t]` never exceeds the limit. Charges of one instant are one entry. A client
/// needs 16 bytes for each entry of the last period, so the limit may be 65 536 at most.
/// [`SlidingWindowCounter`](super::SlidingWindowCounter) needs two numbers per client, but estimates.
///
/// It is a log of time stamps with sums: a decision is a binary search, and a charge is appended.
///
/// ```
/// use traffik::{Rate, strategy::{SlidingWindowLog, Strategy}};
///
/// assert!(SlidingWindowLog.check(Rate::literal("5/10s")).is_ok());
/// assert!(SlidingWindowLog.check(Rate::literal("100000/min")).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlidingWindowLog;

impl SlidingWindowLog {
    /// The highest limit, and the highest cost that is stored for a client.
    pub const MAX_LIMIT: u64 = 65_536;
}

/// Creates the state: the log, the time at which it was written, and the end of the clamped charges, or 0.
fn write(log: Log, now: Timestamp, clamped: Option<Timestamp>) -> State {
    let expires = log.ends().unwrap_or(Timestamp::UNIX_EPOCH);
    State::new(expires, [now.as_micros(), clamped.map_or(0, Timestamp::as_micros)]).with_log(log)
}

fn written(past: &StoredState) -> Timestamp {
    Timestamp::from_micros(past.state.words()[0])
}

/// Returns the time at which the clamped charges end, while they count. [`SlidingWindowLog::clamped_to`] let them end sooner
/// than at the end of their period, all at this time.
fn clamped(past: &StoredState, now: Timestamp) -> Option<Timestamp> {
    Some(Timestamp::from_micros(past.state.words()[1])).filter(|ends| *ends > now)
}

/// Returns the end of a charge in the log: that of its period, or that of the clamped charges if it is not there.
fn end_of(past: &StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> Timestamp {
    let ends = charged_at.saturating_add(past.rate.period());
    let is_there = past.state.log().is_none_or(|log| log.charged_until(ends) >= cost);
    if is_there || ends <= now { ends } else { clamped(past, now).unwrap_or(ends) }
}

impl Strategy for SlidingWindowLog {
    fn name(&self) -> &'static str {
        "sliding-window-log"
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        if rate.limit() <= Self::MAX_LIMIT {
            return Ok(());
        }
        let reason = format!(
            "it remembers each charge, so a limit of {} is out of bounds: it is at most {} (SlidingWindowCounter has no \
             such bound)",
            rate.limit(),
            Self::MAX_LIMIT
        );
        Err(StrategyError::new(self.name(), reason))
    }

    fn capacity(&self, rate: Rate) -> u64 {
        rate.limit()
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        let used = past.and_then(|past| past.state.log()).map_or(0, |log| log.counts_at(now));
        rate.limit().saturating_sub(used)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        let log = past.and_then(|past| past.state.log());
        let most = rate.limit().saturating_sub(cost);
        log.and_then(|log| log.time_until_more_counts_than(most)).map_or(now, |fits| fits.max(now))
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        // Charges of another period are not found.
        let same_period = past.as_ref().filter(|past| past.rate.period() == rate.period());
        let clamped = same_period.and_then(|past| clamped(past, now));
        let mut log = past.map(|past| past.state.into_log()).unwrap_or_default();
        log.forget(now);
        log.reserve_one(usize::try_from(rate.limit()).unwrap_or(usize::MAX));
        log.add(now.saturating_add(rate.period()), cost);
        write(log, now, clamped)
    }

    /// Gives back all of the cost while it is stored and the period of the rate is the same, and nothing otherwise.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        let (written, clamped) = (written(&past), clamped(&past, now));
        let ends = end_of(&past, cost, charged_at, now);
        let mut log = past.state.into_log();
        log.take_back(ends, cost);
        write(log, written, clamped)
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
        let state = by_difference(self, past, rate, charged, actual, charged_at, now);
        let counts = state.log().map_or(0, |log| log.counts_at(now));
        if actual > charged && counts > Self::MAX_LIMIT {
            return Err(SettleError::TooMuch { strategy: self.name(), actual, most: "65536 in a period" });
        }
        Ok(state)
    }

    fn still_counts(&self, past: &StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> bool {
        let ends = end_of(past, cost, charged_at, now);
        ends > now && past.state.log().is_some_and(|log| log.charged_until(ends) >= cost)
    }

    /// Lets no charge count for longer than a period from now on. The charges that would are clamped: they are given back and
    /// renewed as if they had been made now.
    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        let written = written(past);
        let (mut log, mut clamped) = (past.state.log().filter(|_| written > now)?.clone(), clamped(past, now));
        // No charge counts for longer than the longest that was ever to.
        let longest = log.ends().unwrap_or(written).saturating_since(written).max(past.rate.period());
        let latest = now.saturating_add(longest);
        if log.ends().is_some_and(|ends| ends > latest) {
            log.end_by(latest);
            // The charges of an earlier step back end together with those of this one, so that all are found.
            if let Some(clamped) = clamped {
                let earlier = log.charged_until(clamped);
                log.take_back(clamped, earlier);
                log.add(latest, earlier);
            }
            clamped = Some(latest);
        }
        Some(write(log, now, clamped))
    }

    fn summary(&self, past: &StoredState, rate: Rate, cost: u64, now: Timestamp) -> StoredState {
        let Some(log) = past.state.log() else { return past.clone() };
        let more = self.available(Some(past), rate, now).saturating_add(1);
        let mosts = [more, cost].map(|cost| rate.limit().saturating_sub(cost));
        let state = State::new(past.state.expires(), past.state.words()).with_log(log.summary(now, mosts));
        StoredState { state, ..*past }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_above_the_longest_log_is_refused() {
        assert!(SlidingWindowLog.check(Rate::literal("65536/s")).is_ok());
        let error = SlidingWindowLog.check(Rate::literal("65537/s")).unwrap_err().to_string();
        assert!(error.contains("65536") && error.contains("SlidingWindowCounter"), "{error}");
    }

    #[test]
    fn under_two_rates_each_charge_counts_for_the_period_that_it_was_charged_under() {
        let at = |second: u64| Timestamp::from_micros(second * 1_000_000);
        let (minute, ten) = (Rate::literal("5/min"), Rate::literal("5/10s"));
        let charge =
            |past, rate, second| Some(StoredState { state: SlidingWindowLog.charge(past, rate, 1, at(second)), rate });
        let past = charge(charge(charge(None, minute, 0), ten, 1), minute, 2);
        let left = [2, 10, 11, 59, 60, 61, 62].map(|second| SlidingWindowLog.available(past.as_ref(), ten, at(second)));
        assert_eq!(left, [2, 2, 3, 3, 4, 4, 5]);
    }

    #[test]
    fn clock_that_goes_back_clamps_charges_to_the_longest_that_one_may_count() {
        let at = |second: u64| Timestamp::from_micros(second * 1_000_000);
        let (minute, ten) = (Rate::literal("9/min"), Rate::literal("9/10s"));
        let charge =
            |past, rate, second| Some(StoredState { state: SlidingWindowLog.charge(past, rate, 1, at(second)), rate });
        let clamped = |past: Option<StoredState>, second| {
            past.and_then(|past| SlidingWindowLog.clamped_to(&past, at(second))).map(|state| {
                let log: Vec<_> =
                    state.log().unwrap().iter().map(|(until, cost)| (until.as_micros() / 1_000_000, cost)).collect();
                (log, state.words().map(|micros| micros / 1_000_000))
            })
        };
        let log = charge(charge(charge(None, minute, 100), minute, 110), minute, 120);
        assert_eq!(clamped(log.clone(), 120), None);
        assert_eq!(clamped(log.clone(), 115), Some((vec![(160, 1), (170, 1), (175, 1)], [115, 175])));
        assert_eq!(clamped(log.clone(), 110), Some((vec![(160, 1), (170, 2)], [110, 170])));
        assert_eq!(clamped(log, 0), Some((vec![(60, 3)], [0, 60])));
        // What was charged at a longer period counts as long as it would have.
        let two_rates = charge(charge(None, minute, 100), ten, 101);
        assert_eq!(clamped(two_rates.clone(), 101), None);
        assert_eq!(clamped(two_rates.clone(), 100), Some((vec![(111, 1), (159, 1)], [100, 159])));
        assert_eq!(clamped(two_rates, 40), Some((vec![(99, 2)], [40, 99])));
    }

    #[test]
    fn clamped_charges_are_not_found_at_another_period() {
        let at = |second: u64| Timestamp::from_micros(second * 1_000_000);
        let (minute, two) = (Rate::literal("9/min"), Rate::literal("9/2min"));
        let past = StoredState { state: SlidingWindowLog.charge(None, minute, 1, at(100)), rate: minute };
        let past = StoredState { state: SlidingWindowLog.clamped_to(&past, at(90)).unwrap(), rate: minute };
        assert!(SlidingWindowLog.still_counts(&past, 1, at(100), at(90)));
        let past = StoredState { state: SlidingWindowLog.charge(Some(past), two, 1, at(91)), rate: two };
        assert_eq!(past.state.words()[1], 0);
        assert!(!SlidingWindowLog.still_counts(&past, 1, at(100), at(91)));
    }
}
