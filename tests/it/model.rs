//! Slow reference models of the strategies.
//!
//! Each charge is stored with its time, fractions are compared exactly, and numbers and times are searched with a
//! single test of whether a cost fits. The models share neither code nor formulas with traffik.

use std::time::Duration;

/// The expected result of a hit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) admitted: bool,
    pub(crate) remaining: u64,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) more_after: Option<Duration>,
    pub(crate) reset_after: Duration,
    pub(crate) is_never_possible: bool,
}

/// The definition of a strategy. Time is in microseconds. A cost that fits keeps fitting while nothing is charged.
pub(crate) trait Model {
    /// Returns the highest cost that can ever fit.
    fn capacity(&self) -> u64;

    /// Returns whether `cost` fits at `at`.
    fn fits(&self, cost: u64, at: u64) -> bool;

    /// Charges `cost`, which fits.
    fn charge(&mut self, cost: u64, at: u64);

    /// Replaces what was `charged` at a time by `actual`, and returns whether that is possible. Returns `None` if the model does
    /// not say.
    fn settle(&mut self, _charged: u64, _actual: u64, _charged_at: u64, _at: u64) -> Option<bool> {
        None
    }

    /// After how long without a charge everything fits again at the latest.
    fn memory(&self) -> u64;
}

/// Decides about `cost` at `at` and charges it if it fits.
pub(crate) fn hit(model: &mut impl Model, cost: u64, at: u64) -> Answer {
    let admitted = cost == 0 || model.fits(cost, at);
    if admitted {
        model.charge(cost, at);
    }
    answer(model, admitted, cost, at)
}

/// Returns the result for a client whose cost was admitted or not.
pub(crate) fn answer(model: &impl Model, admitted: bool, cost: u64, at: u64) -> Answer {
    let capacity = model.capacity();
    let remaining = first(0..capacity, |more| !model.fits(more + 1, at));
    let after = |cost| Duration::from_micros(first(0..model.memory(), |wait| model.fits(cost, at + wait)));
    Answer {
        admitted,
        remaining,
        retry_after: (!admitted && cost <= capacity).then(|| after(cost)),
        more_after: (remaining < capacity).then(|| after(remaining + 1)),
        reset_after: after(capacity),
        is_never_possible: cost > capacity,
    }
}

/// Returns the first number of `range` for which `is_so` holds, or the end. `is_so` must stay true once it is.
fn first(mut range: std::ops::Range<u64>, is_so: impl Fn(u64) -> bool) -> u64 {
    while range.start < range.end {
        let middle = range.start.midpoint(range.end);
        if is_so(middle) {
            range.end = middle;
        } else {
            range.start = middle + 1;
        }
    }
    range.start
}

/// The highest count.
const MOST: i128 = 1 << 47;

/// All that was charged, as (time, cost). What was given back has a cost below 0, and the time of its charge.
#[derive(Default)]
struct Charges(Vec<(u64, i128)>);

impl Charges {
    /// Returns the sum of the charges in the clock window with this number, counted from the epoch.
    fn in_window(&self, number: u64, period: u64) -> i128 {
        self.0.iter().filter(|(at, _)| at / period == number).map(|(_, cost)| cost).sum()
    }

    /// The sum of what was charged in `(at - period, at]`.
    fn within(&self, period: u64, at: u64) -> i128 {
        self.0.iter().filter(|(charged_at, _)| at - charged_at < period).map(|(_, cost)| cost).sum()
    }

    fn charge(&mut self, cost: u64, at: u64) {
        self.0.push((at, cost.into()));
    }

    /// Less is less of the charge, and more is another charge if it `fits`.
    fn settle(&mut self, costs: [u64; 2], charged_at: u64, at: u64, fits: impl Fn(&Self) -> bool) -> Option<bool> {
        let [charged, actual] = costs.map(i128::from);
        self.0.push((if actual < charged { charged_at } else { at }, actual - charged));
        let is_possible = actual <= charged || fits(self);
        if !is_possible {
            self.0.pop();
        }
        Some(is_possible)
    }
}

/// Admits up to the limit in each clock window.
pub(crate) struct FixedWindowModel {
    limit: u64,
    period: u64,
    charges: Charges,
}

impl FixedWindowModel {
    pub(crate) fn new(limit: u64, period: u64) -> Self {
        Self { limit, period, charges: Charges::default() }
    }
}

impl Model for FixedWindowModel {
    fn capacity(&self) -> u64 {
        self.limit
    }

    fn fits(&self, cost: u64, at: u64) -> bool {
        self.charges.in_window(at / self.period, self.period) + i128::from(cost) <= i128::from(self.limit)
    }

    fn charge(&mut self, cost: u64, at: u64) {
        self.charges.charge(cost, at);
    }

    fn settle(&mut self, charged: u64, actual: u64, charged_at: u64, at: u64) -> Option<bool> {
        self.charges.settle([charged, actual], charged_at, at, |charges| {
            charges.in_window(at / self.period, self.period) <= MOST
        })
    }

    fn memory(&self) -> u64 {
        self.period
    }
}

/// Admits up to the limit in the clock window plus the part of the previous one that a sliding window still covers.
pub(crate) struct SlidingWindowCounterModel {
    limit: u64,
    period: u64,
    charges: Charges,
}

impl SlidingWindowCounterModel {
    pub(crate) fn new(limit: u64, period: u64) -> Self {
        Self { limit, period, charges: Charges::default() }
    }
}

impl Model for SlidingWindowCounterModel {
    fn capacity(&self) -> u64 {
        self.limit
    }

    /// `previous × (period − elapsed) ÷ period + current + cost ≤ limit`, with both sides times the period.
    fn fits(&self, cost: u64, at: u64) -> bool {
        let (number, elapsed) = (at / self.period, i128::from(at % self.period));
        let (limit, period) = (i128::from(self.limit), i128::from(self.period));
        let previous = number.checked_sub(1).map_or(0, |before| self.charges.in_window(before, self.period));
        let current = self.charges.in_window(number, self.period);
        previous * (period - elapsed) + (current + i128::from(cost)) * period <= limit * period
    }

    fn charge(&mut self, cost: u64, at: u64) {
        self.charges.charge(cost, at);
    }

    fn settle(&mut self, charged: u64, actual: u64, charged_at: u64, at: u64) -> Option<bool> {
        self.charges.settle([charged, actual], charged_at, at, |charges| {
            charges.in_window(at / self.period, self.period) <= MOST
        })
    }

    fn memory(&self) -> u64 {
        self.period * 2
    }
}

/// Admits up to the limit in every span of a period.
pub(crate) struct SlidingWindowLogModel {
    limit: u64,
    period: u64,
    charges: Charges,
}

impl SlidingWindowLogModel {
    pub(crate) fn new(limit: u64, period: u64) -> Self {
        Self { limit, period, charges: Charges::default() }
    }
}

impl Model for SlidingWindowLogModel {
    fn capacity(&self) -> u64 {
        self.limit
    }

    fn fits(&self, cost: u64, at: u64) -> bool {
        self.charges.within(self.period, at) + i128::from(cost) <= i128::from(self.limit)
    }

    fn charge(&mut self, cost: u64, at: u64) {
        self.charges.charge(cost, at);
    }

    fn settle(&mut self, charged: u64, actual: u64, charged_at: u64, at: u64) -> Option<bool> {
        self.charges.settle([charged, actual], charged_at, at, |charges| charges.within(self.period, at) <= 65_536)
    }

    fn memory(&self) -> u64 {
        self.period
    }
}

/// Admits up to the limit concurrently: each permit has an end, which a renewal extends, and a released permit is
/// removed.
pub(crate) struct ConcurrencyModel {
    places: u64,
    lease: u64,
    /// For each admitted request: its number, the end of its lease, and its number of permits.
    held: Vec<(u64, u64, u64)>,
}

impl ConcurrencyModel {
    pub(crate) fn new(rate: traffik::Rate) -> Self {
        Self { places: rate.limit(), lease: rate.period_micros(), held: Vec::new() }
    }

    /// Returns the number of permits that are held.
    pub(crate) fn taken(&self, at: u64) -> u64 {
        self.held.iter().filter(|(_, end, _)| at < *end).map(|(.., places)| places).sum()
    }

    /// Admits a request under a number if there is room.
    pub(crate) fn enter(&mut self, number: u64, places: u64, at: u64) -> bool {
        let fits = self.taken(at) + places <= self.places;
        if fits {
            self.held.push((number, at + self.lease, places));
        }
        fits
    }

    /// Renews the permits of a request, and returns whether it holds them.
    pub(crate) fn renew(&mut self, number: u64, places: u64, at: u64) -> bool {
        match self.held.iter_mut().find(|(known, end, _)| *known == number && at < *end) {
            Some((_, end, _)) => {
                *end = at + self.lease;
                true
            }
            None => self.enter(number, places, at),
        }
    }

    pub(crate) fn leave(&mut self, number: u64) {
        self.held.retain(|(known, ..)| *known != number);
    }
}

impl Model for ConcurrencyModel {
    fn capacity(&self) -> u64 {
        self.places
    }

    fn fits(&self, cost: u64, at: u64) -> bool {
        u128::from(self.taken(at)) + u128::from(cost) <= u128::from(self.places)
    }

    fn charge(&mut self, cost: u64, at: u64) {
        self.held.push((u64::MAX, at + self.lease, cost));
    }

    /// A permit is given back, or stays as it is. There is nothing to settle once its lease has ended.
    fn settle(&mut self, charged: u64, actual: u64, charged_at: u64, at: u64) -> Option<bool> {
        let place = self.held.iter().position(|held| *held == (u64::MAX, charged_at + self.lease, charged));
        if actual == 0 {
            place.map(|place| self.held.remove(place));
        }
        Some(actual == 0 || actual == charged || actual < charged && self.taken(at) == 0)
    }

    fn memory(&self) -> u64 {
        self.lease
    }
}

/// Tokens refill at the rate, up to the size of the bucket.
pub(crate) struct TokenBucketModel {
    limit: u64,
    period: u64,
    burst: u64,
    /// The tokens in the bucket at `since`, in units of 1/period.
    tokens: i128,
    since: u64,
}

impl TokenBucketModel {
    pub(crate) fn new(limit: u64, period: u64, burst: u64) -> Self {
        Self { limit, period, burst, tokens: i128::from(burst) * i128::from(period), since: 0 }
    }

    /// Each microsecond refills `limit ÷ period` of a token.
    fn tokens(&self, at: u64) -> i128 {
        let full = i128::from(self.burst) * i128::from(self.period);
        full.min(self.tokens + i128::from(at - self.since) * i128::from(self.limit))
    }
}

impl Model for TokenBucketModel {
    fn capacity(&self) -> u64 {
        self.burst
    }

    fn fits(&self, cost: u64, at: u64) -> bool {
        i128::from(cost) * i128::from(self.period) <= self.tokens(at)
    }

    fn charge(&mut self, cost: u64, at: u64) {
        self.tokens = self.tokens(at) - i128::from(cost) * i128::from(self.period);
        self.since = at;
    }

    /// What stays of a charge comes back first.
    fn settle(&mut self, charged: u64, actual: u64, charged_at: u64, at: u64) -> Option<bool> {
        let [period, limit, burst] = [self.period, self.limit, self.burst].map(i128::from);
        let [charged, actual] = [charged, actual].map(|cost| i128::from(cost) * period);
        let came_back = i128::from(at - charged_at) * limit;
        let more = if actual < charged { (actual.max(came_back) - charged).min(0) } else { actual - charged };
        let tokens = self.tokens(at) - more;
        let is_stored = actual < (1 << 52) * period && burst * period - tokens <= i128::from(self.memory()) * limit;
        let is_possible = actual <= charged || is_stored;
        if is_possible {
            (self.tokens, self.since) = (tokens, at);
        }
        Some(is_possible)
    }

    /// A hundred years: no bucket may take longer to fill.
    fn memory(&self) -> u64 {
        100 * 365 * 86_400 * 1_000_000
    }
}

#[test]
fn models_give_results_computed_by_hand() {
    let seconds = |seconds: u64| seconds * 1_000_000;
    let wait = |answer: Answer| (answer.admitted, answer.remaining, answer.retry_after.map(|wait| wait.as_secs()));

    let mut window = FixedWindowModel::new(5, seconds(10));
    assert_eq!(wait(hit(&mut window, 5, seconds(19))), (true, 0, None));
    assert_eq!(wait(hit(&mut window, 1, seconds(19))), (false, 0, Some(1)));
    assert_eq!(wait(hit(&mut window, 5, seconds(20))), (true, 0, None));

    let mut sliding = SlidingWindowCounterModel::new(10, seconds(10));
    assert_eq!(wait(hit(&mut sliding, 10, seconds(19))), (true, 0, None));
    // At 23 s seven tenths of the previous window still count.
    assert_eq!(wait(hit(&mut sliding, 3, seconds(23))), (true, 0, None));
    assert_eq!(wait(hit(&mut sliding, 2, seconds(23))), (false, 0, Some(2)));

    let mut log = SlidingWindowLogModel::new(5, seconds(10));
    assert_eq!(wait(hit(&mut log, 2, seconds(19))), (true, 3, None));
    assert_eq!(wait(hit(&mut log, 3, seconds(22))), (true, 0, None));
    assert_eq!(wait(hit(&mut log, 2, seconds(28))), (false, 0, Some(1)));
    assert_eq!(wait(hit(&mut log, 3, seconds(29))), (false, 2, Some(3)));

    let mut bucket = TokenBucketModel::new(1, seconds(2), 3);
    assert_eq!(wait(hit(&mut bucket, 3, seconds(20))), (true, 0, None));
    assert_eq!(wait(hit(&mut bucket, 1, seconds(21))), (false, 0, Some(1)));
    assert_eq!(wait(hit(&mut bucket, 3, seconds(22))), (false, 1, Some(4)));
}
