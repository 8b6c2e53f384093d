use std::time::Duration;

use super::exact::mul_div_ceil;
use crate::rate::Rate;

/// Admits requests into a queue that they leave evenly, at the rate.
///
/// It is the leaky bucket as a queue: it delays requests instead of refusing them. At `60/min`, requests that arrive together
/// leave one per second, in the order of their arrival. A request that finds the queue empty leaves without waiting. The next
/// one leaves `cost × period ÷ limit` later or after that. `Limit::delay` returns the delay. `Throttled`, `throttle_layer` and
/// the attribute hold the request for that time.
///
/// Three bounds limit the queue. A request that would exceed one of them is refused:
///
/// - [`queue`](Self::queue): the cost that may wait.
/// - [`max_delay`](Self::max_delay): the longest delay. Defaults to 10 s if `queue` is not set either.
/// - [`max_held`](Self::max_held): the number of requests that a process holds, of all clients. Defaults to 1000.
///
/// ```
/// use std::time::Duration;
/// use traffik::{Rate, clock::Timestamp, decision::LimitStatus, strategy::{AnyStrategy, LeakyBucketWithQueue}};
/// # use traffik::{backend::{Backend, MemoryBackend}, client::Key, decision::{Hit, LimitId}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let backend = MemoryBackend::with_clock("myapp", traffik::test::ManualClock::new());
/// let (rate, queue) = (Rate::literal("60/min"), AnyStrategy::from(LeakyBucketWithQueue::new().queue(2)));
/// # let (limit, key) = (LimitId::new("mails", queue.clone()), Key::from("alice"));
/// # let hit = Hit::new(&limit, &key, rate, 1);
/// let mut delays = Vec::new();
/// for _ in 0..4 {
///     // All at the same instant.
/// #   let decision = backend.decide(&[hit]).await?;
/// #   let outcome = &decision.outcomes()[0];
///     let status = LimitStatus::new(&queue, rate, outcome);
///     delays.push(outcome.admitted.then(|| status.delay()));
/// }
/// assert_eq!(delays, [0, 1, 2, 3].map(Duration::from_secs).map(|delay| (delay.as_secs() < 3).then_some(delay)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct LeakyBucketWithQueue {
    queue: Option<u64>,
    pub(super) max_delay: Option<Duration>,
    pub(super) max_held: usize,
    /// Admits only what needs no delay.
    is_at_once: bool,
}

/// `LeakyBucketWithQueue::new()`, so that `strategy = LeakyBucketWithQueue` needs no call.
#[expect(non_upper_case_globals, reason = "it is written like the strategies without settings")]
pub const LeakyBucketWithQueue: LeakyBucketWithQueue = LeakyBucketWithQueue::new();

impl LeakyBucketWithQueue {
    /// The longest delay if neither `max_delay` nor `queue` is set: 10 s.
    pub const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(10);

    /// The default of [`max_held`](Self::max_held): 1000.
    pub const DEFAULT_MAX_HELD: usize = 1000;

    /// Creates a queue with delays of up to 10 s.
    pub const fn new() -> Self {
        Self { queue: None, max_delay: None, max_held: Self::DEFAULT_MAX_HELD, is_at_once: false }
    }

    /// Sets the number of places in the queue. A request takes as many places as it costs.
    ///
    /// A cost of 1 may leave in addition to what waits, so a request that costs more than `places + 1` is never admitted.
    /// Defaults to the places that empty within [`max_delay`](Self::max_delay).
    pub const fn queue(self, places: u64) -> Self {
        Self { queue: Some(places), ..self }
    }

    /// Sets the longest delay, up to 50 days. A request that would wait longer is refused.
    ///
    /// Defaults to the time that the [`queue`](Self::queue) takes to empty. Clients and proxies often give up after 30 or 60 s,
    /// so a longer delay is rarely of use.
    pub const fn max_delay(self, delay: Duration) -> Self {
        Self { max_delay: Some(delay), ..self }
    }

    /// Sets the highest number of requests that each process holds for a throttle, of all clients together.
    ///
    /// While that many are held, a request that can leave without waiting is admitted. Others are refused and charge nothing.
    pub const fn max_held(self, requests: usize) -> Self {
        Self { max_held: requests, ..self }
    }

    /// Admits only what needs no delay.
    pub(super) const fn at_once(self) -> Self {
        Self { is_at_once: true, ..self }
    }

    /// Returns the capacity: the places in the queue, and one for what leaves without waiting.
    #[inline]
    pub(super) fn size(&self, rate: Rate) -> u64 {
        let within = |delay| mul_div_ceil(micros(delay), rate.limit(), rate.period_micros());
        let max_delay = self.max_delay.unwrap_or(Self::DEFAULT_MAX_DELAY);
        self.queue.unwrap_or_else(|| within(max_delay)).saturating_add(1)
    }

    /// Returns the longest delay of an admitted request. Returns `None` if only [`queue`](Self::queue) bounds it.
    ///
    /// A backend that does not run the strategy itself needs it, in addition to the [capacity](super::Strategy::capacity).
    ///
    /// ```
    /// use std::time::Duration;
    /// use traffik::strategy::LeakyBucketWithQueue;
    ///
    /// assert_eq!(LeakyBucketWithQueue::new().longest_delay(), Some(Duration::from_secs(10)));
    /// assert_eq!(LeakyBucketWithQueue::new().queue(5).longest_delay(), None);
    /// ```
    #[must_use]
    pub fn longest_delay(&self) -> Option<Duration> {
        self.longest_micros().map(Duration::from_micros)
    }

    /// Returns the longest delay in microseconds.
    #[inline]
    pub(super) fn longest_micros(&self) -> Option<u64> {
        match (self.is_at_once, self.max_delay, self.queue) {
            (true, ..) => Some(0),
            (false, Some(delay), _) => Some(micros(delay)),
            (false, None, None) => Some(micros(Self::DEFAULT_MAX_DELAY)),
            (false, None, Some(_)) => None,
        }
    }
}

impl Default for LeakyBucketWithQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns whole microseconds, rounded down, so that no delay is longer than its bound.
#[inline]
fn micros(delay: Duration) -> u64 {
    u64::try_from(delay.as_micros()).unwrap_or(u64::MAX)
}
