//! What is stored for a client, and the decision of a strategy about one charge.

use super::{Log, Strategy};
use crate::{clock::Timestamp, rate::Rate};

/// The data that a strategy stores for a client: two integers, an optional [`Log`], and the time of expiry.
///
/// Only the strategy knows the meaning of the integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    expires: Timestamp,
    words: [u64; 2],
    log: Option<Box<Log>>,
}

impl State {
    /// Creates a state of two integers that expires at `expires`.
    #[inline]
    #[must_use]
    pub const fn new(expires: Timestamp, words: [u64; 2]) -> Self {
        Self { expires, words, log: None }
    }

    /// Adds a log. It takes memory for each charge.
    #[must_use]
    pub fn with_log(self, log: Log) -> Self {
        Self { log: Some(Box::new(log)), ..self }
    }

    /// Returns the time of expiry. From then on, a client with this state is treated like one without.
    #[inline]
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Returns the integers.
    #[inline]
    #[must_use]
    pub const fn words(&self) -> [u64; 2] {
        self.words
    }

    /// Returns the log, if there is one.
    #[inline]
    #[must_use]
    pub fn log(&self) -> Option<&Log> {
        self.log.as_deref()
    }

    /// Returns the log, or an empty one if there is none.
    #[must_use]
    pub fn into_log(self) -> Log {
        self.log.map_or_else(Log::default, |log| *log)
    }
}

/// What is stored for a client: a [`State`] and the rate at which it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredState {
    /// The state.
    pub state: State,
    /// The rate at which the state was written.
    pub rate: Rate,
}

impl StoredState {
    /// Returns `true` if the state has not expired at `now`.
    #[inline]
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.state.expires > now
    }

    /// Returns it without the log.
    #[inline]
    pub(super) const fn written(&self) -> Written {
        Written::new(self.state.expires, self.state.words, self.rate)
    }
}

/// A [`State`] without a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainState {
    /// The time of expiry: see [`State::expires`].
    pub expires: Timestamp,
    /// The integers.
    pub words: [u64; 2],
}

impl PlainState {
    /// Creates a state of two integers that expires at `expires`.
    #[inline]
    #[must_use]
    pub const fn new(expires: Timestamp, words: [u64; 2]) -> Self {
        Self { expires, words }
    }
}

impl From<PlainState> for State {
    #[inline]
    fn from(PlainState { expires, words }: PlainState) -> Self {
        Self::new(expires, words)
    }
}

/// A [`StoredState`] without a log, to compute with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) expires: Timestamp,
    pub(super) words: [u64; 2],
    pub(super) rate: Rate,
}

impl Written {
    #[inline(always)]
    pub(super) const fn new(expires: Timestamp, [first, second]: [u64; 2], rate: Rate) -> Self {
        Self { expires, words: [first, second], rate }
    }

    #[inline(always)]
    pub(super) const fn plain(self) -> PlainState {
        PlainState::new(self.expires, self.words)
    }
}

impl From<Written> for State {
    #[inline]
    fn from(Written { expires, words, .. }: Written) -> Self {
        Self::new(expires, words)
    }
}

/// The decision of a strategy about one charge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether the cost fits.
    pub admitted: bool,
    /// The state of the client after the decision, with the cost charged if it fits.
    pub past: Option<StoredState>,
    /// Whether that state must be stored: after a charge, and after the clock went back.
    pub is_new: bool,
}

/// The decision of a strategy about one charge, where no state has a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainVerdict {
    /// Whether the cost fits.
    pub admitted: bool,
    /// The state of the client after the decision, with the cost charged if it fits.
    pub state: Option<PlainState>,
    /// Whether that state must be stored, because the cost was charged.
    pub is_new: bool,
}

/// What of a stored state counts at some time: see [`AnyStrategy::current`](super::AnyStrategy::current).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentState {
    /// The state, if it is still alive.
    pub past: Option<StoredState>,
    /// Whether the clock went back and the state with it. It must then be stored even after a refusal.
    pub is_rewound: bool,
}

#[inline(always)]
pub(super) fn decide(
    strategy: &(impl Strategy + ?Sized),
    past: Option<StoredState>,
    rate: Rate,
    cost: u64,
    now: Timestamp,
) -> Verdict {
    let CurrentState { past, is_rewound } = current(strategy, past, now);
    let admitted = cost == 0 || strategy.fits(past.as_ref(), rate, cost, now);
    if cost == 0 || !admitted {
        return Verdict { admitted, past, is_new: is_rewound };
    }
    let state = strategy.charge(past, rate, cost, now);
    Verdict { admitted: true, past: Some(StoredState { state, rate }), is_new: true }
}

/// A rate, and what a strategy needs of it for each charge: see [`AnyStrategy::prepare`](super::AnyStrategy::prepare).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreparedRate {
    rate: Rate,
    constants: [u64; 2],
}

impl PreparedRate {
    #[inline]
    pub(super) fn new(strategy: &impl Plain, rate: Rate) -> Self {
        Self { rate, constants: strategy.constants(rate) }
    }

    /// Returns the rate.
    #[inline]
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    #[inline(always)]
    pub(super) const fn constants(&self) -> [u64; 2] {
        self.constants
    }
}

/// A strategy whose states are plain. Its functions are those of [`Strategy`], by value.
pub(super) trait Plain: Strategy {
    /// Returns the quotients that [`charged`](Self::charged) needs: of windows the reciprocal of the period, as a fraction of
    /// 2^64; of meters the time in which a cost of 1 drains, in microseconds and a fraction.
    fn constants(&self, rate: Rate) -> [u64; 2];

    /// Returns whether a state was written later than `now`: [`Strategy::clamped_to`] returns another one then.
    fn is_later(&self, past: Written, now: Timestamp) -> bool;

    /// [`Strategy::fits`].
    fn fits_plainly(&self, past: Option<Written>, rate: Rate, cost: u64, now: Timestamp) -> bool;

    /// [`Strategy::charge`].
    fn charged(&self, past: Option<Written>, rate: &PreparedRate, cost: u64, now: Timestamp) -> Written;
}

/// Decides like [`decide`] about a state that was written at this rate. Returns `None` if the clock went back.
#[inline(always)]
pub(super) fn decide_plain(
    strategy: &impl Plain,
    past: Option<&PlainState>,
    rate: &PreparedRate,
    cost: u64,
    now: Timestamp,
) -> Option<PlainVerdict> {
    // Each case by itself, so that all numbers stay in registers.
    match past.map(|past| Written::new(past.expires, past.words, rate.rate)) {
        Some(past) if strategy.is_later(past, now) => None,
        Some(past) if past.expires > now => Some(decide_alive(strategy, Some(past), rate, cost, now)),
        _ => Some(decide_alive(strategy, None, rate, cost, now)),
    }
}

#[inline(always)]
fn decide_alive(
    strategy: &impl Plain,
    past: Option<Written>,
    rate: &PreparedRate,
    cost: u64,
    now: Timestamp,
) -> PlainVerdict {
    let admitted = cost == 0 || strategy.fits_plainly(past, rate.rate, cost, now);
    let is_new = cost > 0 && admitted;
    let state = if is_new { Some(strategy.charged(past, rate, cost, now)) } else { past };
    PlainVerdict { admitted, state: state.map(Written::plain), is_new }
}

pub(super) fn renew(
    strategy: &(impl Strategy + ?Sized),
    past: Option<StoredState>,
    rate: Rate,
    cost: u64,
    charged_at: Timestamp,
    now: Timestamp,
) -> Verdict {
    let CurrentState { past: Some(past), is_rewound } = current(strategy, past, now) else {
        return decide(strategy, None, rate, cost, now);
    };
    if cost == 0 {
        return Verdict { admitted: true, past: Some(past), is_new: is_rewound };
    }
    let is_held = strategy.still_counts(&past, cost, charged_at, now);
    let (rate_before, state) = (past.rate, strategy.refund(past, cost, charged_at, now));
    let given_back = StoredState { state, rate: rate_before };
    let known = Some(&given_back).filter(|past| past.is_alive(now));
    if is_held || strategy.fits(known, rate, cost, now) {
        let past = if known.is_some() { Some(given_back) } else { None };
        let state = strategy.charge(past, rate, cost, now);
        return Verdict { admitted: true, past: Some(StoredState { state, rate }), is_new: true };
    }
    // Stored even if nothing is left of it.
    Verdict { admitted: false, past: Some(given_back), is_new: true }
}

#[inline(always)]
pub(super) fn current(strategy: &(impl Strategy + ?Sized), past: Option<StoredState>, now: Timestamp) -> CurrentState {
    let Some(stored) = past else { return CurrentState { past: None, is_rewound: false } };
    let (past, is_rewound) = match strategy.clamped_to(&stored, now) {
        Some(state) => (StoredState { state, rate: stored.rate }, true),
        None => (stored, false),
    };
    CurrentState { past: Some(past).filter(|past| past.is_alive(now)), is_rewound }
}

#[cfg(test)]
mod tests {
    use super::super::{
        AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter,
        SlidingWindowLog, TokenBucket,
    };
    use super::*;

    #[test]
    fn plain_decision_is_the_same_decision() {
        let strategies: [AnyStrategy; 6] = [
            FixedWindow.into(),
            SlidingWindowCounter.into(),
            TokenBucket::new().into(),
            LeakyBucket::new().into(),
            Gcra::new().burst(3).into(),
            LeakyBucketWithQueue::new().into(),
        ];
        let rates = ["3/us", "7/s", "60/min"].map(Rate::literal);
        // Times before and after what is stored, in and after its window.
        let times = [0, 1, 2, 59_999_999, 60_000_000, 60_000_001, 200_000_000].map(Timestamp::from_micros);
        let words = [[0, 0], [1, 1], [2, 60_000_000], [9, 3]];
        let states = times.iter().flat_map(|&expires| words.map(|words| Some(PlainState::new(expires, words))));
        let states: Vec<Option<PlainState>> = states.chain([None]).collect();
        let mut plain = 0;
        for (strategy, rate) in strategies.iter().flat_map(|strategy| rates.map(|rate| (strategy, rate))) {
            let prepared = strategy.prepare(rate).unwrap();
            for (past, now) in states.iter().flat_map(|&past| times.map(|now| (past, now))) {
                for cost in [0, 1, 3, 100] {
                    let stored = past.map(|past| StoredState { state: past.into(), rate });
                    let expected = strategy.decide(stored.clone(), rate, cost, now);
                    match strategy.decide_plain(past.as_ref(), &prepared, cost, now) {
                        Some(PlainVerdict { admitted, state, is_new }) => {
                            plain += 1;
                            let past = state.map(|state| StoredState { state: state.into(), rate });
                            assert_eq!(Verdict { admitted, past, is_new }, expected, "{strategy:?}");
                        }
                        None => assert!(strategy.current(stored, now).is_rewound, "{strategy:?}"),
                    }
                }
            }
        }
        assert!(plain > 5000, "{plain}");
    }

    #[test]
    fn state_that_may_have_a_log_is_not_decided_plainly() {
        let rate = Rate::literal("5/min");
        for strategy in [SlidingWindowLog.into(), Concurrency.into(), AnyStrategy::custom(FixedWindow)] {
            assert_eq!(strategy.prepare(rate), None, "{strategy:?}");
        }
        assert_eq!(AnyStrategy::default().prepare(Rate::UNLIMITED), None);
    }
}
