use std::time::Duration;

use super::{
    Holding, LeakyBucketWithQueue, SettleError, State, StoredState, Strategy, StrategyError,
    meter::Meter,
    metered::{check_size, overdraw},
    verdict::{Plain, PreparedRate, Written},
};
use crate::{clock::Timestamp, rate::Rate};

/// The state is a meter. The next request leaves when the meter has drained.
impl Strategy for LeakyBucketWithQueue {
    fn name(&self) -> &'static str {
        "leaky-bucket-with-queue"
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        if self.max_delay.is_some_and(|delay| delay > Rate::MAX_PERIOD) {
            return Err(StrategyError::new(self.name(), "a delay is at most 50 days: lower `max_delay`"));
        }
        check_size(self.name(), self.size(rate), rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        self.size(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        let size = self.size(rate);
        past.map_or(size, |past| {
            let meter = Meter::read(past.written(), rate);
            if self.is_in_time(meter, now) { size.saturating_sub(meter.level(now)) } else { 0 }
        })
    }

    fn fits(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        self.fits_plainly(past.map(StoredState::written), rate, cost, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        let most = self.size(rate).saturating_sub(cost);
        past.map_or(now, |past| {
            let meter = Meter::read(past.written(), rate);
            let in_time =
                self.longest_micros().map_or(0, |longest| meter.drains_to(0).as_micros().saturating_sub(longest));
            // At a slower rate the meter would drain for longer than it is stored.
            meter.drains_to(most).max(Timestamp::from_micros(in_time)).min(past.state.expires()).max(now)
        })
    }

    /// Another rate does not change when the waiting requests leave.
    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        self.charged(past.as_ref().map(StoredState::written), &PreparedRate::new(self, rate), cost, now).into()
    }

    /// Gives back all of it if no other request is in the queue. Requests that came later keep their time to leave.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, _now: Timestamp) -> State {
        lowered(past, cost, 0, charged_at)
    }

    /// Requests that came later, and those that wait, keep their time to leave.
    fn settle(
        &self,
        past: Option<StoredState>,
        rate: Rate,
        charged: u64,
        actual: u64,
        charged_at: Timestamp,
        now: Timestamp,
    ) -> Result<State, SettleError> {
        match past {
            Some(past) if actual < charged => Ok(lowered(past, charged, actual, charged_at)),
            past => overdraw(self, past, rate, charged, actual, now),
        }
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        Meter::clamped_to(past.written(), now).map(|meter| meter.write().into())
    }

    /// Returns the time until what was there before has drained.
    fn delay(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Duration {
        past.map_or(Duration::ZERO, |past| Meter::read(past.written(), rate).drains_to(cost).saturating_since(now))
    }

    fn holding(&self) -> Option<Holding> {
        Some(Holding::new(self.max_held, self.at_once()))
    }
}

impl Plain for LeakyBucketWithQueue {
    #[inline]
    fn constants(&self, rate: Rate) -> [u64; 2] {
        Meter::constants(rate)
    }

    #[inline]
    fn is_later(&self, past: Written, now: Timestamp) -> bool {
        Meter::is_later(past, now)
    }

    #[inline]
    fn fits_plainly(&self, past: Option<Written>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        let Some(left) = self.size(rate).checked_sub(cost) else { return false };
        past.is_none_or(|past| {
            let meter = Meter::read(past, rate);
            meter.holds_at_most(left, now) && self.is_in_time(meter, now)
        })
    }

    #[inline]
    fn charged(&self, past: Option<Written>, prepared: &PreparedRate, cost: u64, now: Timestamp) -> Written {
        let rate = prepared.rate();
        let meter = past.map_or(Meter::empty(rate, now), |past| Meter::read(past, rate).until_drained(rate));
        meter.filled_at(prepared, cost, now).write()
    }
}

/// Lowers a charge if no other request is in the queue.
fn lowered(past: StoredState, charged: u64, actual: u64, charged_at: Timestamp) -> State {
    let alone = |cost| Meter::empty(past.rate, charged_at).filled(cost, charged_at).write();
    let before = alone(charged);
    if past.state.expires() == before.expires && past.state.words().first() == before.words.first() {
        return alone(actual).into();
    }
    past.state
}

impl LeakyBucketWithQueue {
    #[inline]
    fn is_in_time(&self, meter: Meter, now: Timestamp) -> bool {
        self.longest_micros().is_none_or(|longest| meter.drains_within(longest, now))
    }
}
