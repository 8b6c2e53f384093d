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

/// Creates the state: the log and the time at which it was written.
fn write(log: Log, now: Timestamp) -> State {
    let expires = log.ends().unwrap_or(Timestamp::UNIX_EPOCH);
    State::new(expires, [now.as_micros(), 0]).with_log(log)
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
        let mut log = past.map(|past| past.state.into_log()).unwrap_or_default();
        log.forget(now);
        log.reserve_one(usize::try_from(rate.limit()).unwrap_or(usize::MAX));
        log.add(now.saturating_add(rate.period()), cost);
        write(log, now)
    }

    /// Gives back all of the cost while it is stored and the period of the rate is the same, and nothing otherwise.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, _now: Timestamp) -> State {
        let [written, _] = past.state.words();
        let mut log = past.state.into_log();
        log.take_back(charged_at.saturating_add(past.rate.period()), cost);
        write(log, Timestamp::from_micros(written))
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
        let ends = charged_at.saturating_add(past.rate.period());
        ends > now && past.state.log().is_some_and(|log| log.charged_until(ends) >= cost)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        let [written, _] = past.state.words();
        let ahead = Timestamp::from_micros(written).saturating_since(now);
        let log = past.state.log().filter(|_| !ahead.is_zero())?;
        let mut log = log.clone();
        log.move_back(ahead);
        Some(write(log, now))
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
}
