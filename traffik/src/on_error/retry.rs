use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Asks the backend again, if the call surely did not run; then refuses.
///
/// Made again is what the backend says [did not run](crate::backend::BackendError::NotRun), and nothing else: what may have
/// run may have been charged. Of `traffik-redis` that is
///
/// - a call that was not sent, since there was no connection, or no room to send it,
/// - a call that the server turned away with `LOADING`, `TRYAGAIN`, `CLUSTERDOWN`, `MASTERDOWN`, `BUSY` or `NOSCRIPT`.
///
/// A call that timed out or whose connection was lost is not. All attempts together, and the pauses between them, take no longer
/// than [`backend_timeout`](crate::TraffikBuilder::backend_timeout): a pause that would is not begun.
///
/// ```
/// use std::time::Duration;
/// use traffik::{Traffik, backend::MemoryBackend, on_error::{Backoff, Retry}};
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

/// How long the pauses between attempts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Each as long as this.
    Constant(Duration),
    /// Each longer by this than the one before it.
    Linear(Duration),
    /// The first as long as this, and each twice as long as the one before it.
    Exponential(Duration),
}

impl Retry {
    /// Up to so many attempts after the first. The pauses begin at 5 ms and double, unless told otherwise.
    pub const fn times(times: u32) -> Self {
        Self { times, backoff: Backoff::Exponential(Duration::from_millis(5)), jitter: true }
    }

    pub(super) const NEVER: Self = Self::times(0);

    /// Pauses as long as this. Of each, a part that is drawn at random is left out, up to a half, so that those who failed
    /// together do not come back together.
    pub const fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// Pauses exactly as long as told.
    pub const fn without_jitter(self) -> Self {
        Self { jitter: false, ..self }
    }

    /// The pause before each attempt after the first.
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
        // What is longer waits for nothing that anybody waits for.
        .min(Duration::from_secs(3600))
    }
}

/// From 0 to 1, at random: what a hasher is seeded with.
fn chance() -> f64 {
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
    fn pauses_grow_as_told() {
        let retry = |backoff| Retry::times(4).backoff(backoff).without_jitter();
        assert_eq!(millis(retry(Backoff::Constant(UNIT))), [8, 8, 8, 8]);
        assert_eq!(millis(retry(Backoff::Linear(UNIT))), [8, 16, 24, 32]);
        assert_eq!(millis(retry(Backoff::Exponential(UNIT))), [8, 16, 32, 64]);
        assert_eq!(Retry::times(100).pauses().last().map(|pause| pause <= Duration::from_secs(3600)), Some(true));
    }

    #[test]
    fn jitter_takes_up_to_a_half() {
        let pauses: Vec<_> = Retry::times(1000).backoff(Backoff::Constant(UNIT)).pauses().collect();
        assert!(pauses.iter().all(|pause| (UNIT / 2..=UNIT).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause > UNIT * 4 / 5) && pauses.iter().any(|pause| *pause < UNIT * 3 / 5));
    }
}
