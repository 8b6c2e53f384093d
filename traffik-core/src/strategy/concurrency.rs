use std::time::Duration;

use super::{SettleError, SlidingWindowLog, State, StoredState, Strategy, StrategyError};
use crate::{clock::Timestamp, rate::Rate};

/// Limits the number of concurrent clients of something: open sockets, running reports.
///
/// The limit of the rate is the number of places, and its period is the lease of a place. `10/30s` are ten places with a lease
/// of 30 s, and [`at_once`](Self::at_once) is short for that. An admitted request holds its place as long as a clone of its
/// `Limit` exists, for example in a `Throttled` or in a `Permit`. The lease is renewed for that time. When the last clone is
/// dropped, the place is free. If the process dies, the place is free when the lease ends.
///
/// `Retry-After` is the end of the first lease, as if no lease was renewed. A place may be free earlier or later than that.
///
/// The leases are a log like that of [`SlidingWindowLog`]: each charge counts for a period, and
/// [renewing](crate::backend::Backend::renew) it replaces it by a charge that counts for another period. (Leases: Gray and
/// Cheriton, "Leases: an efficient fault-tolerant mechanism for distributed file cache consistency", 1989.)
///
/// ```
/// use traffik::{DefaultIdentity, Rate, Settings, Throttle, Traffik, backend::MemoryBackend, strategy::Concurrency};
///
/// struct Reports;
///
/// impl Throttle for Reports {
///     const UID: &'static str = "reports:running";
///     const RATE: Rate = Concurrency::at_once(2);
///     type Identity = DefaultIdentity;
///
///     fn settings() -> Settings {
///         Settings::new().strategy(Concurrency)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let limiter = || traffik.limiter::<Reports>("alice");
/// let (first, _second) = (limiter().check().await?, limiter().check().await?);
/// assert!(limiter().check().await.is_err());
///
/// drop(first);
/// let _third = limiter().check().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concurrency;

impl Concurrency {
    /// The highest number of places of a client.
    pub const MAX_PLACES: u64 = SlidingWindowLog::MAX_LIMIT;

    /// The default lease: 30 s. If a process dies, its places are free after that time.
    pub const LEASE: Duration = Duration::from_secs(30);

    /// The shortest lease: 100 ms. A shorter one could end before a slow store renews it.
    pub const MIN_LEASE: Duration = Duration::from_millis(100);

    /// Returns the rate of `places` places with a lease of [`LEASE`](Self::LEASE).
    ///
    /// ```
    /// use traffik::{Rate, strategy::Concurrency};
    ///
    /// const RATE: Rate = Concurrency::at_once(10);
    /// assert_eq!(RATE, Rate::literal("10/30s"));
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if `places` is 0 or above [`MAX_PLACES`](Self::MAX_PLACES). In a `const` this is an error of the compiler.
    #[must_use]
    #[track_caller]
    #[expect(clippy::panic, reason = "in a const it ends the build, and that is what it is for")]
    pub const fn at_once(places: u64) -> Rate {
        assert!(places <= Self::MAX_PLACES, "at most 65536 can be there at once: each of them is remembered");
        match Rate::new(places, Self::LEASE) {
            Ok(rate) => rate,
            Err(_) => panic!("a limit of 0 admits no request: \"1 at once\" is the lowest limit"),
        }
    }
}

impl Strategy for Concurrency {
    fn name(&self) -> &'static str {
        "concurrency"
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        if rate.limit() > Self::MAX_PLACES {
            let reason = format!(
                "it remembers who is there, so {} places are out of bounds: there are at most {}",
                rate.limit(),
                Self::MAX_PLACES
            );
            return Err(StrategyError::new(self.name(), reason));
        }
        if rate.period() < Self::MIN_LEASE {
            let reason = format!(
                "the period of its rate is how long a place is leased for, and {} is too short to renew that: it is at least \
                 {}, and \"{} at once\" stands for {}",
                humantime::format_duration(rate.period()),
                humantime::format_duration(Self::MIN_LEASE),
                rate.limit(),
                humantime::format_duration(Self::LEASE),
            );
            return Err(StrategyError::new(self.name(), reason));
        }
        Ok(())
    }

    fn capacity(&self, rate: Rate) -> u64 {
        SlidingWindowLog.capacity(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        SlidingWindowLog.available(past, rate, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        SlidingWindowLog.available_at(past, rate, cost, now)
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        SlidingWindowLog.charge(past, rate, cost, now)
    }

    /// Gives back all of the places while their lease lasts and the period of the rate is the same, and nothing otherwise.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        SlidingWindowLog.refund(past, cost, charged_at, now)
    }

    /// Gives back all of the places, or none.
    fn settle(
        &self,
        past: Option<StoredState>,
        rate: Rate,
        charged: u64,
        actual: u64,
        charged_at: Timestamp,
        now: Timestamp,
    ) -> Result<State, SettleError> {
        if actual > 0 {
            return Err(SettleError::Indivisible { strategy: self.name() });
        }
        SlidingWindowLog.settle(past, rate, charged, actual, charged_at, now)
    }

    fn still_counts(&self, past: &StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> bool {
        SlidingWindowLog.still_counts(past, cost, charged_at, now)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        SlidingWindowLog.clamped_to(past, now)
    }

    fn summary(&self, past: &StoredState, rate: Rate, cost: u64, now: Timestamp) -> StoredState {
        SlidingWindowLog.summary(past, rate, cost, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::AnyStrategy;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn unsupported_rate_is_an_error_that_says_why() {
        let error = |rate: &str| Concurrency.check(rate.parse().unwrap()).map_err(|error| error.to_string());
        assert_eq!((error("65536/30s"), error("1/100ms"), error("10/50d")), (Ok(()), Ok(()), Ok(())));
        assert!(error("65537/30s").unwrap_err().contains("at most 65536"));
        let short = error("10/99ms").unwrap_err();
        assert!(short.contains("at least 100ms") && short.contains("\"10 at once\" stands for 30s"), "{short}");
    }

    #[test]
    fn ended_lease_frees_its_place() {
        let (strategy, rate) = (AnyStrategy::from(Concurrency), Concurrency::at_once(1));
        let held = strategy.decide(None, rate, 1, at(0)).past;
        assert!(!strategy.decide(held.clone(), rate, 1, at(29)).admitted);
        assert!(strategy.decide(held, rate, 1, at(30)).admitted);
    }

    #[test]
    fn renewed_permit_keeps_its_place_under_a_lower_limit() {
        let (strategy, ten, one) = (AnyStrategy::from(Concurrency), Concurrency::at_once(10), Concurrency::at_once(1));
        let past = (0..10).fold(None, |past, second| strategy.decide(past, ten, 1, at(second)).past);
        let renewed = strategy.renew(past, one, 1, at(3), at(20));
        assert!(renewed.admitted);
        let left =
            [29, 32, 33, 49, 50].map(|second| ten.limit() - strategy.available(renewed.past.as_ref(), ten, at(second)));
        assert_eq!(left, [10, 7, 7, 1, 0]);
    }

    #[test]
    fn lapsed_permit_that_is_still_stored_holds_no_place() {
        let (strategy, two, one) = (AnyStrategy::from(Concurrency), Concurrency::at_once(2), Concurrency::at_once(1));
        let past = [0, 20].iter().fold(None, |past, &second| strategy.decide(past, two, 1, at(second)).past);
        assert!(strategy.renew(past.clone(), one, 1, at(0), at(29)).admitted);
        assert!(!strategy.renew(past, one, 1, at(0), at(30)).admitted);
    }

    #[test]
    fn lapsed_permit_is_renewed_only_if_a_place_is_free() {
        let (strategy, rate) = (AnyStrategy::from(Concurrency), Concurrency::at_once(1));
        let taken = strategy.decide(None, rate, 1, at(40)).past;
        let refused = strategy.renew(taken.clone(), rate, 1, at(0), at(50));
        assert_eq!((refused.admitted, refused.past), (false, taken.clone()));
        assert!(strategy.renew(taken, rate, 1, at(0), at(70)).admitted);
        assert!(strategy.renew(None, rate, 1, at(0), at(70)).admitted);
    }
}
