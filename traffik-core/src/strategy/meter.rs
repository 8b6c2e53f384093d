//! A meter that drains evenly, `limit` per period. The token bucket, the leaky bucket and GCRA are meters.
//!
//! A meter stores the time at which it has drained instead of its level. This is the theoretical arrival time of the
//! [generic cell rate algorithm](https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm) (ATM Forum, Traffic
//! Management Specification 4.0, 1996). It needs no update while the meter drains, and one comparison decides. The
//! time is `micros + fraction ÷ limit` microseconds after the epoch. This is exact for every rate, since each unit of
//! cost moves it by `period ÷ limit`.

use std::time::Duration;

use super::{
    exact::{mul_div_ceil, mul_div_rem, narrow},
    verdict::{PreparedRate, Written},
};
use crate::{clock::Timestamp, rate::Rate};

#[derive(Clone, Copy)]
pub(super) struct Meter {
    rate: Rate,
    /// The time of the last change.
    written: Timestamp,
    /// The time at which it has drained, in whole microseconds.
    micros: u64,
    /// The rest of that time, as `fraction ÷ limit` microseconds.
    fraction: u64,
}

impl Meter {
    #[inline(always)]
    pub(super) const fn empty(rate: Rate, now: Timestamp) -> Self {
        Self { rate, written: now, micros: now.as_micros(), fraction: 0 }
    }

    #[inline(always)]
    fn stored(past: Written) -> Self {
        let [fraction, written] = past.words;
        // A store may return any number, but a fraction is less than one.
        let fraction = fraction.min(past.rate.limit().saturating_sub(1));
        let micros = past.expires.as_micros().saturating_sub((fraction > 0).into());
        Self { rate: past.rate, written: Timestamp::from_micros(written), micros, fraction }
    }

    /// Reads a meter to count at `rate`.
    ///
    /// If it was written at another rate, it drains at the slower of the two, so a new rate does not drain it sooner.
    #[inline(always)]
    pub(super) fn read(past: Written, rate: Rate) -> Self {
        let stored = Self::stored(past);
        if is_slower(rate, past.rate) { stored.at_rate(rate, stored.written) } else { stored }
    }

    /// Converts it to another rate. The level at `now` stays the same, rounded up to a whole unit.
    #[inline(always)]
    pub(super) fn at_rate(self, rate: Rate, now: Timestamp) -> Self {
        if self.rate == rate { self } else { Self::empty(rate, now).filled(self.level(now), now) }
    }

    /// Converts it to another rate. The time at which it has drained stays the same, rounded up to a fraction of that rate.
    #[inline(always)]
    pub(super) fn until_drained(self, rate: Rate) -> Self {
        if self.rate.limit() == rate.limit() {
            return Self { rate, ..self };
        }
        let (limit, of_other) = (rate.limit().max(1), self.rate.limit().max(1));
        let fraction = mul_div_ceil(self.fraction, limit, of_other);
        let (carry, fraction) = if fraction >= limit { (1, 0) } else { (0, fraction) };
        Self { rate, micros: self.micros.saturating_add(carry), fraction, ..self }
    }

    /// Returns the level at `now`, rounded up.
    pub(super) fn level(self, now: Timestamp) -> u64 {
        let (_, period) = self.terms();
        narrow(self.level_times_period(now).div_ceil(u128::from(period)))
    }

    /// Checks that the level is no higher than `most` at `now`, without a division.
    #[inline(always)]
    pub(super) fn holds_at_most(self, most: u64, now: Timestamp) -> bool {
        let (_, period) = self.terms();
        self.level_times_period(now) <= u128::from(most) * u128::from(period)
    }

    #[inline(always)]
    fn level_times_period(self, now: Timestamp) -> u128 {
        let (limit, _) = self.terms();
        let drains_in = self.micros.checked_sub(now.as_micros());
        drains_in.map_or(0, |micros| u128::from(micros) * u128::from(limit) + u128::from(self.fraction))
    }

    /// Checks that it drains within `micros` microseconds from `now`.
    #[inline(always)]
    pub(super) fn drains_within(self, micros: u64, now: Timestamp) -> bool {
        (self.micros, self.fraction) <= (now.as_micros().saturating_add(micros), 0)
    }

    /// Returns the first whole microsecond at which the level is no higher than `most`.
    pub(super) fn drains_to(self, most: u64) -> Timestamp {
        let (micros, fraction) = self.time_to_drain(most);
        let rounded_up = u64::from(self.fraction > fraction);
        Timestamp::from_micros(self.micros.saturating_add(rounded_up).saturating_sub(micros))
    }

    /// Returns the time in which a cost of 1 drains, in whole microseconds and a fraction.
    #[inline]
    pub(super) fn constants(rate: Rate) -> [u64; 2] {
        Self::empty(rate, Timestamp::UNIX_EPOCH).time_to_drain(1).into()
    }

    /// Adds `cost` at the rate of this meter. For a cost of 1 this takes no division.
    #[inline(always)]
    pub(super) fn filled_at(self, rate: &PreparedRate, cost: u64, now: Timestamp) -> Self {
        self.filled_for(if cost == 1 { rate.constants().into() } else { self.time_to_drain(cost) }, now)
    }

    /// Adds `cost`.
    #[inline]
    pub(super) fn filled(self, cost: u64, now: Timestamp) -> Self {
        self.filled_for(self.time_to_drain(cost), now)
    }

    /// Adds what drains in this time.
    #[inline(always)]
    fn filled_for(self, (micros, fraction): (u64, u64), now: Timestamp) -> Self {
        let from = if self.micros < now.as_micros() { Self::empty(self.rate, now) } else { self };
        let (limit, _) = self.terms();
        let sum = from.fraction + fraction;
        let (carry, fraction) = if sum >= limit { (1, sum - limit) } else { (0, sum) };
        let micros = from.micros.saturating_add(micros).saturating_add(carry);
        Self { rate: self.rate, written: now, micros, fraction }
    }

    /// Lowers a charge of `charged` to `actual`, and never below what a charge of `actual` would have left.
    ///
    /// What stays drains first. Earlier charges may have drained in a part of the time `since` the charge, but how long is
    /// unknown. So all of it counts: nothing is given back twice.
    pub(super) fn lowered(self, charged: u64, actual: u64, since: Duration) -> Self {
        let since = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let (micros, fraction) = if (since, 0) <= self.time_to_drain(actual) {
            self.time_to_drain(charged.saturating_sub(actual))
        } else {
            let (micros, fraction) = self.time_to_drain(charged);
            let Some(micros) = micros.checked_sub(since) else { return self };
            (micros, fraction)
        };
        let (limit, _) = self.terms();
        let (borrow, fraction) = if self.fraction < fraction {
            (1, self.fraction + limit - fraction)
        } else {
            (0, self.fraction - fraction)
        };
        Self { micros: self.micros.saturating_sub(micros).saturating_sub(borrow), fraction, ..self }
    }

    /// Moves it back by as much as the clock went back since the last change. Returns `None` if the clock did not go back.
    pub(super) fn clamped_to(past: Written, now: Timestamp) -> Option<Self> {
        let stored = Self::stored(past);
        let ahead = stored.written.as_micros().checked_sub(now.as_micros()).filter(|&ahead| ahead > 0)?;
        Some(Self { written: now, micros: stored.micros.saturating_sub(ahead), ..stored })
    }

    /// Returns whether a meter was changed later than `now`.
    #[inline(always)]
    pub(super) const fn is_later(past: Written, now: Timestamp) -> bool {
        let [_, written] = past.words;
        now.as_micros() < written
    }

    #[inline(always)]
    pub(super) fn write(self) -> Written {
        let expires = self.micros.saturating_add((self.fraction > 0).into());
        Written::new(Timestamp::from_micros(expires), [self.fraction, self.written.as_micros()], self.rate)
    }

    /// Returns `cost × period ÷ limit` as whole microseconds and a fraction.
    #[inline(always)]
    fn time_to_drain(self, cost: u64) -> (u64, u64) {
        let (limit, period) = self.terms();
        mul_div_rem(cost, period, limit)
    }

    #[inline(always)]
    fn terms(self) -> (u64, u64) {
        (self.rate.limit().max(1), self.rate.period_micros().max(1))
    }
}

/// Returns `true` if `a` allows less than `b` in the same time.
#[inline(always)]
fn is_slower(a: Rate, b: Rate) -> bool {
    let cross = |one: Rate, other: Rate| u128::from(one.limit()) * u128::from(other.period_micros());
    cross(a, b) < cross(b, a)
}

#[cfg(test)]
mod tests {
    use super::{super::TokenBucket, *};

    const THIRDS: Rate = Rate::literal("3/us");

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn thirds_of_a_microsecond_add_up() {
        let mut meter = Meter::empty(THIRDS, at(10));
        for _ in 0..3_000 {
            meter = meter.filled(1, at(10));
        }
        assert_eq!((meter.micros, meter.fraction), (1010, 0));
        assert_eq!((meter.level(at(10)), meter.level(at(1009)), meter.level(at(1010))), (3000, 3, 0));
    }

    #[test]
    fn prepared_rate_charges_the_same_without_a_division() {
        for rate in ["3/us", "7/s", "1/50d", "100_000_000_000_000/us", "1_000_000_007/13d"].map(Rate::literal) {
            let prepared = PreparedRate::new(&TokenBucket::new(), rate);
            assert_eq!(
                prepared.constants(),
                [rate.period_micros() / rate.limit(), rate.period_micros() % rate.limit()]
            );
            for meter in [Meter::empty(rate, at(10)), Meter::empty(rate, at(10)).filled(5, at(10))] {
                for (cost, now) in (0..4).flat_map(|cost| [0, 10, 11, 1 << 50].map(|now| (cost, at(now)))) {
                    let (prepared, divided) = (meter.filled_at(&prepared, cost, now), meter.filled(cost, now));
                    assert_eq!(prepared.write(), divided.write(), "{rate} {cost}");
                }
            }
        }
    }

    #[test]
    fn level_and_time_are_rounded_up() {
        let meter = Meter::empty(THIRDS, at(10)).filled(4, at(10));
        assert_eq!((meter.micros, meter.fraction), (11, 1));
        assert_eq!(meter.level(at(11)), 1);
        assert_eq!(meter.level(at(12)), 0);
        assert_eq!((meter.drains_to(4), meter.drains_to(1), meter.drains_to(0)), (at(10), at(11), at(12)));
    }

    #[test]
    fn filled_meter_can_be_emptied() {
        let meter = Meter::empty(THIRDS, at(10)).filled(100, at(10));
        let again = meter.filled(5, at(10)).lowered(5, 0, Duration::ZERO);
        assert_eq!((again.micros, again.fraction), (meter.micros, meter.fraction));
    }

    #[test]
    fn refund_gives_back_no_cost_that_has_drained() {
        let minutely = Rate::literal("60/min");
        let second = 1_000_000;
        let meter = Meter::empty(minutely, at(0)).filled(30, at(0));
        // Drained after 30 s, and then filled by another request.
        let filled_again = meter.filled(60, at(30 * second));
        let refunded = filled_again.lowered(30, 0, Duration::from_secs(30));
        assert_eq!(refunded.level(at(30 * second)), 60);
        assert_eq!(meter.lowered(30, 0, Duration::from_secs(10)).level(at(10 * second)), 0);
        assert_eq!(filled_again.lowered(30, 0, Duration::from_secs(45)).level(at(45 * second)), 45);
    }

    #[test]
    fn any_stored_words_and_costs_do_not_overflow() {
        let words = [0, 1, 2, u64::MAX / 2, u64::MAX];
        for [fraction, written, expires, cost, now] in words.iter().flat_map(|&a| words.map(|b| [a, b, a ^ b, b, a])) {
            let past = Written::new(at(expires), [fraction, written], THIRDS);
            let meter = Meter::clamped_to(past, at(now)).unwrap_or(Meter::stored(past));
            assert_eq!(Meter::is_later(past, at(now)), Meter::clamped_to(past, at(now)).is_some());
            let filled = meter.filled(cost, at(now));
            assert!(filled.fraction < 3 && meter.lowered(cost, 0, Duration::ZERO).fraction < 3);
            assert!(filled.drains_to(filled.level(at(now))) <= filled.drains_to(0));
        }
    }

    #[test]
    fn stored_and_read_again_it_is_the_same() {
        for cost in 0..10 {
            let meter = Meter::empty(THIRDS, at(10)).filled(cost, at(10));
            let read = Meter::stored(meter.write());
            assert_eq!((read.micros, read.fraction), (meter.micros, meter.fraction));
        }
    }

    #[test]
    fn read_by_a_slower_rate_it_drains_slower_and_by_a_faster_one_no_faster() {
        let (fast, slow) = (Rate::literal("60/min"), Rate::literal("6/min"));
        let later = at(0).saturating_add(Duration::from_secs(5));

        let written_fast = Meter::empty(fast, at(0)).filled(6, at(0)).write();
        assert_eq!(Meter::read(written_fast, fast).level(later), 1);
        assert_eq!(Meter::read(written_fast, slow).level(later), 6);

        let written_slow = Meter::empty(slow, at(0)).filled(6, at(0)).write();
        assert_eq!(Meter::read(written_slow, fast).level(later), 6);
    }
}
