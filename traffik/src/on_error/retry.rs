use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Asks the backend again if the call did not run, and then refuses.
///
/// Only a call that the backend reports as [not run](crate::backend::BackendError::NotRun) is made again. A call that may have
/// run may have been charged. With `traffik-redis`, calls are made again
///
/// - that were not sent, because there was no connection or no room to send them,
/// - that the server rejected with `LOADING`, `TRYAGAIN`, `CLUSTERDOWN`, `MASTERDOWN`, `BUSY` or `NOSCRIPT`.
///
/// Calls that timed out or whose connection was lost are not made again. All attempts and pauses together take at most
/// [`backend_timeout`](crate::TraffikBuilder::backend_timeout): a pause that would exceed it is not started.
///
/// ```
/// use std::time::Duration;
/// use traffik::{MemoryBackend, Traffik, on_error::{Backoff, Retry}};
///
/// # let redis = MemoryBackend::new("myapp");
/// let traffik = Traffik::builder(redis)
///     .on_error(Retry::times(3).backoff(Backoff::Exponential(Duration::from_millis(5))))
///     .build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Retry {
    times: u32,
    backoff: Backoff,
    jitter: bool,
}

/// The length of the pauses between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backoff {
    /// Every pause has this length.
    Constant(Duration),
    /// The first pause has this length, and each later one is longer by it.
    Linear(Duration),
    /// The first pause has this length, and each later one is twice as long as the one before it.
    Exponential(Duration),
}

impl Retry {
    /// Creates a policy with at most this number of attempts after the first. Defaults to pauses that start at 5 ms and
    /// double.
    pub const fn times(times: u32) -> Self {
        Self { times, backoff: Backoff::Exponential(Duration::from_millis(5)), jitter: true }
    }

    pub(super) const NEVER: Self = Self::times(0);

    /// Sets the length of the pauses. A random part of each pause, up to half of it, is left out: requests that failed
    /// together do not retry together.
    pub const fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// Disables the random part: pauses have exactly the length that is set.
    pub const fn without_jitter(self) -> Self {
        Self { jitter: false, ..self }
    }

    /// Returns the pause before each attempt after the first.
    pub(super) fn pauses(self) -> impl Iterator<Item = Duration> + Send {
        (0..self.times).map(move |attempt| {
            let pause = self.backoff.pause(attempt);
            if self.jitter { pause - pause.mul_f64(chance() / 2.0) } else { pause }
        })
    }
}

impl Backoff {
    fn pause(self, attempt: u32) -> Duration {
        match self {
            Self::Constant(pause) => pause,
            Self::Linear(step) => step.saturating_mul(attempt.saturating_add(1)),
            Self::Exponential(first) => first.saturating_mul(2_u32.saturating_pow(attempt)),
        }
        // Far above any timeout.
        .min(Duration::from_secs(3600))
    }
}

/// Returns a random number from 0 to 1: hashers are seeded at random.
pub(crate) fn chance() -> f64 {
    let random = RandomState::new().hash_one(()) >> 32;
    u32::try_from(random).map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Duration = Duration::from_millis(8);

    fn millis(retry: Retry) -> Vec<u128> {
        retry.pauses().map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn pauses_of_each_backoff_grow_up_to_an_hour() {
        let retry = |backoff| Retry::times(4).backoff(backoff).without_jitter();
        assert_eq!(millis(retry(Backoff::Constant(UNIT))), [8, 8, 8, 8]);
        assert_eq!(millis(retry(Backoff::Linear(UNIT))), [8, 16, 24, 32]);
        assert_eq!(millis(retry(Backoff::Exponential(UNIT))), [8, 16, 32, 64]);
        assert_eq!(Retry::times(100).pauses().last().map(|pause| pause <= Duration::from_secs(3600)), Some(true));
    }

    #[test]
    fn jitter_leaves_at_least_half_of_each_pause() {
        let pauses: Vec<_> = Retry::times(1000).backoff(Backoff::Constant(UNIT)).pauses().collect();
        assert!(pauses.iter().all(|pause| (UNIT / 2..=UNIT).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause > UNIT * 4 / 5) && pauses.iter().any(|pause| *pause < UNIT * 3 / 5));
    }
}
