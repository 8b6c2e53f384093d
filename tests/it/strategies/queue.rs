//! The queue, compared with a request-by-request simulation that is exact to fractions of a microsecond.

use std::time::Duration;

use traffik::{
    Rate,
    strategy::{LeakyBucketWithQueue, Strategy},
};

use super::{
    RATES, Result,
    random::Random,
    rig::{Rig, micros},
};
use crate::{
    model::{self, Model},
    patience::times,
};

/// The admitted requests, with the start of each departure and the earliest start of the next. Both times are
/// multiplied by the limit, which makes them integers.
struct Line {
    limit: u128,
    period: u128,
    places: u64,
    max_delay: Option<u64>,
    line: Vec<(u128, u128)>,
}

impl Line {
    fn new(rate: Rate, places: u64, max_delay: Option<u64>) -> Self {
        let (limit, period) = (rate.limit().into(), rate.period_micros().into());
        Self { limit, period, places, max_delay, line: Vec::new() }
    }

    fn next(&self, at: u64) -> u128 {
        self.line.iter().map(|(_, end)| *end).max().unwrap_or(0).max(u128::from(at) * self.limit)
    }

    /// Returns the microseconds from `at`, rounded up, until a request that arrives then leaves.
    fn delay(&self, at: u64) -> u64 {
        let wait = self.next(at) - u128::from(at) * self.limit;
        u64::try_from(wait.div_ceil(self.limit)).unwrap_or(u64::MAX)
    }
}

impl Model for Line {
    fn capacity(&self) -> u64 {
        self.places + 1
    }

    fn fits(&self, cost: u64, at: u64) -> bool {
        let now = u128::from(at) * self.limit;
        let left_of = |(start, end): &(u128, u128)| end.saturating_sub((*start).max(now));
        let ahead: u128 = self.line.iter().map(left_of).sum();
        let fits = ahead.div_ceil(self.period) + u128::from(cost) <= u128::from(self.capacity());
        cost == 0 || (fits && self.max_delay.is_none_or(|most| self.next(at) - now <= u128::from(most) * self.limit))
    }

    fn charge(&mut self, cost: u64, at: u64) {
        if cost > 0 {
            let start = self.next(at);
            self.line.push((start, start + u128::from(cost) * self.period));
        }
    }

    /// The longest time that a meter may take to drain.
    fn memory(&self) -> u64 {
        100 * 365 * 86_400 * 1_000_000
    }
}

/// Returns each setting with its queue length and longest delay.
fn settings(rate: Rate, random: &mut Random) -> Vec<(LeakyBucketWithQueue, Line)> {
    let places = random.of_any_size(rate.limit()) - 1;
    let delay = random.of_any_size(3 * rate.period_micros());
    let within = |delay: u64| {
        let places = (u128::from(delay) * u128::from(rate.limit())).div_ceil(rate.period_micros().into());
        u64::try_from(places).unwrap_or(u64::MAX)
    };
    let queue = LeakyBucketWithQueue::new();
    let (bounded, delay_of) = (queue.max_delay(Duration::from_micros(delay)), Some(delay));
    let all = [
        (queue, Line::new(rate, within(10_000_000), Some(10_000_000))),
        (queue.queue(0), Line::new(rate, 0, None)),
        (queue.queue(places), Line::new(rate, places, None)),
        (bounded, Line::new(rate, within(delay), delay_of)),
        (bounded.queue(places), Line::new(rate, places, delay_of)),
        (queue.queue(places).max_delay(Duration::ZERO), Line::new(rate, places, Some(0))),
    ];
    all.into_iter().filter(|(queue, _)| queue.check(rate).is_ok()).collect()
}

#[tokio::test]
async fn queue_equals_its_simulation() -> Result {
    let (mut delayed, mut refused) = (0, 0);
    for seed in 0..times(150, 15_000) {
        let mut random = Random::new(seed);
        let rate = random.rate();
        for (queue, mut line) in settings(rate, &mut random) {
            let rig = Rig::new(queue.into(), random.of_any_size(2_000_000_000_000_000));
            let (mut remaining, mut turns) = (line.capacity(), vec![0]);
            for step in 0..60 {
                rig.go_to(random.later(rig.now(), rate, &turns));
                let (cost, now) = (random.cost(remaining, line.capacity()), rig.now());
                let delay = line.delay(now);
                let outcome = rig.decide(rate, cost).await?;
                let (answer, expected) = (rig.answer(rate, &outcome), model::hit(&mut line, cost, now));
                assert_eq!(answer, expected, "seed {seed}, step {step}: {cost} at {now} us, {queue:?} at {rate}");
                if answer.admitted && cost > 0 {
                    let found = micros(rig.standing(rate, &outcome).delay());
                    assert_eq!(found, delay, "seed {seed}, step {step}: {cost} at {now} us, {queue:?} at {rate}");
                    delayed += u64::from(delay > 0);
                }
                refused += u64::from(!answer.admitted);
                remaining = answer.remaining;
                turns = [answer.retry_after, answer.more_after, Some(answer.reset_after)]
                    .into_iter()
                    .flatten()
                    .map(micros)
                    .collect();
            }
        }
    }
    assert!(delayed > 1000 && refused > 1000, "{delayed} delayed, {refused} refused");
    Ok(())
}

/// After any refund and any change of the rate, no request leaves before an earlier one, and two leave at least an
/// interval apart at the rate of the first one.
#[tokio::test]
async fn queued_requests_leave_at_least_an_interval_apart() -> Result {
    for seed in 0..times(300, 30_000) {
        let mut random = Random::new(seed);
        let rates = [random.pick(RATES, RATES[0]), random.pick(RATES, RATES[0])];
        let rig = Rig::new(LeakyBucketWithQueue::new().queue(5).into(), 1_700_000_000_000_000);
        if rates.iter().any(|rate| rig.strategy.check(*rate).is_err()) {
            continue;
        }
        // The earliest departure of the next request, and the last decision with the earliest departure before it.
        let mut free_from = 0_u64;
        let mut last: Option<(Rate, traffik::decision::Outcome, u64)> = None;
        for step in 0..60 {
            let rate = if random.upto(3) == 0 { rates[1] } else { rates[0] };
            let interval = rate.period_micros() / rate.limit();
            rig.go_to(rig.now() + random.pick(&[0, 0, 1, interval / 2, interval, interval * 7], 0));
            if random.upto(3) == 0
                && let Some((rate, outcome, before)) = last.take()
            {
                rig.refund(rate, &outcome).await?;
                // A fully refunded request in an empty queue leaves no trace.
                if rig.remaining(rate).await? == rig.strategy.capacity(rate) {
                    free_from = before;
                }
            }
            let outcome = rig.decide(rate, 1).await?;
            if !outcome.admitted {
                continue;
            }
            let leaves = rig.now() + micros(rig.standing(rate, &outcome).delay());
            assert!(leaves >= free_from, "seed {seed}, step {step}: {leaves} is before {free_from}, {rates:?}");
            last = Some((rate, outcome, free_from));
            // Rounded down, while the delay was rounded up.
            free_from = leaves + interval.saturating_sub(1);
        }
    }
    Ok(())
}

#[tokio::test]
async fn slot_is_refunded_only_in_an_otherwise_empty_queue() -> Result {
    let rate = Rate::literal("60/min");
    let rig = Rig::new(LeakyBucketWithQueue::new().queue(5).into(), 1_700_000_000_000_000);
    let first = rig.decide(rate, 2).await?;
    rig.refund(rate, &first).await?;
    assert_eq!(rig.remaining(rate).await?, 6);

    let first = rig.decide(rate, 1).await?;
    let second = rig.decide(rate, 1).await?;
    for charged in [&first, &second, &first] {
        rig.refund(rate, charged).await?;
        assert_eq!(rig.remaining(rate).await?, 4);
    }
    Ok(())
}
