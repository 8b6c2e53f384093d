use super::{State, StoredState, Strategy};
use crate::{clock::Timestamp, rate::Rate};

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

/// A strategy whose states have a fixed size and are read by reference.
pub(super) trait InPlace: Strategy {
    /// [`Strategy::charge`].
    fn charged(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State;
}

/// Decides like [`decide`]. Moving a state right after its words were written stalls the processor for longer than the
/// decision takes, so nothing is moved here.
#[inline(always)]
pub(super) fn decide_in_place(
    strategy: &impl InPlace,
    past: &mut Option<StoredState>,
    rate: Rate,
    cost: u64,
    now: Timestamp,
    store: impl FnOnce(&State),
) -> bool {
    let mut is_rewound = false;
    if let Some(stored) = past {
        if let Some(state) = strategy.clamped_to(stored, now) {
            (stored.state, is_rewound) = (state, true);
        }
        if !stored.is_alive(now) {
            *past = None;
        }
    }
    let admitted = cost == 0 || strategy.fits(past.as_ref(), rate, cost, now);
    if cost > 0 && admitted {
        let state = strategy.charged(past.as_ref(), rate, cost, now);
        store(&state);
        *past = Some(StoredState { state, rate });
    } else if let Some(past) = past.as_ref().filter(|_| is_rewound) {
        store(&past.state);
    }
    admitted
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
    use super::{
        super::{AnyStrategy, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter, TokenBucket},
        *,
    };

    #[test]
    fn decision_in_place_is_the_same_decision() {
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
        for (strategy, rate, of) in strategies
            .iter()
            .flat_map(|strategy| rates.iter().flat_map(move |rate| rates.map(|of| (strategy, *rate, of))))
        {
            for (expires, now, words) in times.iter().flat_map(|&expires| {
                times
                    .iter()
                    .flat_map(move |&now| [[0, 0], [1, 1], [2, 60_000_000], [9, 3]].map(|words| (expires, now, words)))
            }) {
                for (cost, is_known) in [(0, true), (1, true), (3, true), (100, true), (1, false), (100, false)] {
                    let stored = is_known.then(|| StoredState { state: State::new(expires, words), rate: of });
                    let expected = strategy.decide(stored.clone(), rate, cost, now);
                    let (mut past, mut written) = (stored, None);
                    let admitted =
                        strategy.decide_in_place(&mut past, rate, cost, now, |state| written = Some(state.clone()));
                    let is_new = expected.past.clone().filter(|_| expected.is_new).map(|past| past.state);
                    assert_eq!((admitted, past, written), (expected.admitted, expected.past, is_new), "{strategy:?}");
                }
            }
        }
    }
}
