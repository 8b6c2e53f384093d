use std::time::Duration;

use super::{Holding, Past, State, Strategy, StrategyError, exact::mul_div_ceil, meter::Meter, metered::check_size};
use crate::{clock::Timestamp, rate::Rate};

/// A queue that requests leave evenly, at the rate: what comes too soon is admitted and held until it is its turn.
///
/// It is the leaky bucket as a queue, which shapes rather than refuses: at `60/min` requests that come all at once leave one
/// each second, in the order in which they came. One that finds the queue empty leaves at once, and the next no sooner than
/// `cost × period ÷ limit` after it. How long a request has to be held is told by `Limit::delay`;
/// `Throttled`, `throttle_layer` and the attribute do hold it.
///
/// Three bounds keep it from growing, and whichever is reached first refuses:
///
/// - [`queue`](Self::queue): how much may wait,
/// - [`max_delay`](Self::max_delay): how long a request may be delayed; 10 s, where neither of these two is set,
/// - [`max_held`](Self::max_held): how many requests a process holds at a time, of all clients; 1000 unless told otherwise.
///
/// ```
/// use std::time::Duration;
/// use traffik::{Rate, clock::Timestamp, decision::Standing, strategy::{AnyStrategy, LeakyBucketWithQueue}};
/// # use traffik::{backend::{Backend, MemoryBackend}, client::Key, decision::Hit};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let backend = MemoryBackend::new("myapp").clock(traffik::test::ManualClock::new());
/// let (rate, queue) = (Rate::literal("60/min"), AnyStrategy::from(LeakyBucketWithQueue::new().queue(2)));
/// # let key = Key::from("alice");
/// # let hit = Hit { uid: "mails", key: &key, strategy: &queue, rate, cost: 1 };
/// let mut delays = Vec::new();
/// for _ in 0..4 {
///     // Each of these at the same instant.
/// #   let decision = backend.decide(&[hit]).await?;
/// #   let outcome = &decision.outcomes()[0];
///     let standing = Standing::new(&queue, rate, outcome);
///     delays.push(outcome.admitted.then(|| standing.delay()));
/// }
/// assert_eq!(delays, [0, 1, 2, 3].map(Duration::from_secs).map(|delay| (delay.as_secs() < 3).then_some(delay)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct LeakyBucketWithQueue {
    queue: Option<u64>,
    max_delay: Option<Duration>,
    max_held: usize,
    /// Whether it delays nothing, since as many requests are held as may be.
    is_at_once: bool,
}

impl LeakyBucketWithQueue {
    /// How long a request may be delayed where neither this nor the length of the queue is set.
    pub const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(10);

    /// How many requests a process holds at a time unless told otherwise.
    pub const DEFAULT_MAX_HELD: usize = 1000;

    const NAME: &'static str = "leaky-bucket-with-queue";

    /// A queue that delays nothing for longer than 10 s.
    pub const fn new() -> Self {
        Self { queue: None, max_delay: None, max_held: Self::DEFAULT_MAX_HELD, is_at_once: false }
    }

    /// Lets so much wait, beside what leaves at once: a request takes as many places as it costs. One that costs more than
    /// the queue and that one place can never get through.
    ///
    /// As many as leave within [`max_delay`](Self::max_delay), unless told otherwise.
    pub const fn queue(self, places: u64) -> Self {
        Self { queue: Some(places), ..self }
    }

    /// Refuses what would be delayed for longer than this, which is 50 days at most.
    ///
    /// As long as the [`queue`](Self::queue) takes to empty, unless told otherwise. Clients and proxies give up at some point,
    /// often after 30 or 60 s: what is delayed for longer than that is delayed for nobody.
    pub const fn max_delay(self, delay: Duration) -> Self {
        Self { max_delay: Some(delay), ..self }
    }

    /// Holds at most so many requests at a time, in each process and of each throttle, of all clients together. While it holds
    /// so many, what can leave at once does so, and what would have to wait is refused, and charged nothing.
    pub const fn max_held(self, requests: usize) -> Self {
        Self { max_held: requests, ..self }
    }

    /// Delays nothing.
    const fn at_once(self) -> Self {
        Self { is_at_once: true, ..self }
    }

    /// How much there is room for: what waits, and the one place of what leaves at once.
    #[inline]
    fn size(&self, rate: Rate) -> u64 {
        let within = |delay| mul_div_ceil(micros(delay), rate.limit(), rate.period_micros());
        let max_delay = self.max_delay.unwrap_or(Self::DEFAULT_MAX_DELAY);
        self.queue.unwrap_or_else(|| within(max_delay)).saturating_add(1)
    }

    /// The longest delay in microseconds, if it is not the queue that bounds it.
    ///
    /// A backend that decides by itself needs it, beside the [capacity](Strategy::capacity).
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn longest_delay(&self) -> Option<u64> {
        match (self.is_at_once, self.max_delay, self.queue) {
            (true, ..) => Some(0),
            (false, Some(delay), _) => Some(micros(delay)),
            (false, None, None) => Some(micros(Self::DEFAULT_MAX_DELAY)),
            (false, None, Some(_)) => None,
        }
    }

    #[inline]
    fn is_in_time(&self, meter: Meter, now: Timestamp) -> bool {
        self.longest_delay().is_none_or(|longest| meter.drains_within(longest, now))
    }
}

impl Default for LeakyBucketWithQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// The state is that of a meter: when it will have drained is when the next request leaves.
impl Strategy for LeakyBucketWithQueue {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        if self.max_delay.is_some_and(|delay| delay > Rate::MAX_PERIOD) {
            return Err(StrategyError::new(Self::NAME, "a delay is at most 50 days: lower `max_delay`"));
        }
        check_size(Self::NAME, self.size(rate), rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        self.size(rate)
    }

    fn available(&self, past: Option<&Past>, rate: Rate, now: Timestamp) -> u64 {
        let size = self.size(rate);
        past.map_or(size, |past| {
            let meter = Meter::read(past, rate);
            if self.is_in_time(meter, now) { size.saturating_sub(meter.level(now)) } else { 0 }
        })
    }

    #[inline]
    fn fits(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        let Some(left) = self.size(rate).checked_sub(cost) else { return false };
        past.is_none_or(|past| {
            let meter = Meter::read(past, rate);
            meter.holds_at_most(left, now) && self.is_in_time(meter, now)
        })
    }

    fn available_at(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        let most = self.size(rate).saturating_sub(cost);
        past.map_or(now, |past| {
            let meter = Meter::read(past, rate);
            let in_time =
                self.longest_delay().map_or(0, |longest| meter.drains_to(0).as_micros().saturating_sub(longest));
            // Read by a slower rate it would drain for longer than it is kept.
            meter.drains_to(most).max(Timestamp::from_micros(in_time)).min(past.state.expires()).max(now)
        })
    }

    /// It keeps its time under another rate: those that wait were told when they leave.
    #[inline]
    fn charge(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> State {
        let meter = past.as_ref().map_or(Meter::empty(rate, now), |past| Meter::read(past, rate).until_drained(rate));
        meter.filled(cost, now).write()
    }

    /// All of it, if nobody else is in the queue: whoever came later was told when to leave, and none leaves in the place of
    /// another.
    fn refund(&self, past: Past, cost: u64, charged_at: Timestamp, _now: Timestamp) -> State {
        let alone = Meter::empty(past.rate, charged_at).filled(cost, charged_at).write();
        if past.state.expires() == alone.expires() && past.state.words().first() == alone.words().first() {
            return Meter::empty(past.rate, charged_at).write();
        }
        past.state
    }

    #[inline]
    fn rewound(&self, past: &Past, now: Timestamp) -> Option<State> {
        Meter::rewound(past, now).map(Meter::write)
    }

    /// Until what was there before has drained.
    fn delay(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> Duration {
        past.map_or(Duration::ZERO, |past| Meter::read(past, rate).drains_to(cost).saturating_since(now))
    }

    fn holding(&self) -> Option<Holding> {
        Some(Holding::new(self.max_held, self.at_once()))
    }
}

/// Whole microseconds, rounded down: nothing is delayed for longer.
#[inline]
fn micros(delay: Duration) -> u64 {
    u64::try_from(delay.as_micros()).unwrap_or(u64::MAX)
}
