//! One client's calls to the backend and to an in-memory reference.

use std::time::Duration;

use tests::limit;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    clock::{Clock, Timestamp},
    decision::{Charge, Decision, Hit, LimitStatus},
    strategy::{AnyStrategy, SlidingWindowLog, Strategy},
    test::ManualClock,
};
use traffik_redis::RedisBackend;

use super::{
    Choose,
    random::Random,
    reference::{Reference, assert_same},
};
use crate::Result;

const STEPS: u64 = 60;

/// The highest cost that is settled on Redis is 2^52. So many charges of this one are below the highest level.
const MAX_SENT: u64 = (1 << 48) - 1;

/// A trace ends before products of a time pass what is exact, in the year 2096.
const LATEST: u64 = 4_000_000_000_000_000;

const UIDS: [&str; 2] = ["limit", "another"];

pub(super) struct Trace {
    what: String,
    key: Key,
    random: Random,
    clock: ManualClock,
    reference: Reference,
    redis: RedisBackend,
    /// The rate of each limit.
    strategies: [AnyStrategy; 2],
    rate: Rate,
    /// The amount left after the last decision, and the waits until the state changes.
    remaining: u64,
    turns: Vec<u64>,
    /// The charges: their limit, rate, cost and time.
    charged: Vec<(&'static str, Rate, u64, Timestamp)>,
}

impl Trace {
    pub(super) fn new(redis: &RedisBackend, name: &'static str, seed: u64, choose: Choose) -> Self {
        let mut random = Random::new(seed);
        let rate = random.rate();
        let rate = if choose(rate, &mut random).check(rate).is_ok() { rate } else { smaller(rate, &mut random) };
        let clock = ManualClock::at(Timestamp::from_micros(random.of_any_size(2_000_000_000_000_000)));
        Self {
            what: format!("{name}, seed {seed}"),
            key: Key::from((name, seed)),
            reference: Reference::default(),
            redis: redis.by_hand(clock.clone()),
            strategies: [choose(rate, &mut random), choose(rate, &mut random)],
            clock,
            random,
            rate,
            remaining: rate.limit(),
            turns: vec![0],
            charged: Vec::new(),
        }
    }

    /// The number of decisions, and of those admitted.
    pub(super) async fn follow(mut self) -> Result<(u64, u64)> {
        let (mut steps, mut admitted) = (0, 0);
        while steps < STEPS {
            self.move_on();
            if self.now() > LATEST {
                break;
            }
            match self.random.upto(15) {
                0 | 1 => self.settle(steps).await?,
                2 => self.change_rate(),
                3 if self.random.upto(3) == 0 => self.reset().await?,
                _ => {}
            }
            steps += 1;
            admitted += u64::from(self.decide(steps).await?);
        }
        Ok((steps, admitted))
    }

    fn now(&self) -> u64 {
        self.clock.now().as_micros()
    }

    /// Usually moves to a time at which the state changes; sometimes back.
    fn move_on(&mut self) {
        let now = self.now();
        let next = if self.random.upto(19) == 0 {
            now.saturating_sub(self.random.of_any_size(2 * self.rate.period_micros())).max(1)
        } else {
            self.random.later(now, self.rate, &self.turns)
        };
        self.clock.set(Timestamp::from_micros(next));
    }

    /// Changes to any rate that works with the strategy: far from the previous one, or close to it.
    fn change_rate(&mut self) {
        let near = Rate::new(self.rate.limit() + 1, self.rate.period()).unwrap_or(self.rate);
        let rate = if self.random.upto(2) == 0 { near } else { self.random.rate() };
        let rate = if self.random.upto(2) == 0 { smaller(rate, &mut self.random) } else { rate };
        if self.strategies.iter().all(|strategy| strategy.check(rate).is_ok()) {
            self.rate = rate;
        }
    }

    async fn decide(&mut self, step: u64) -> Result<bool> {
        let costs: Vec<(&'static str, u64)> = (0..=self.random.pick(&[0, 0, 0, 1, 2], 0))
            .map(|_| {
                let uid = self.random.pick(&UIDS, "limit");
                let capacity = strategy_of(&self.strategies, uid).capacity(self.rate);
                (uid, self.random.cost(self.remaining, capacity))
            })
            .collect();
        let rate = self.rate;
        let (key, strategies) = (&self.key, &self.strategies);
        let mut random = Random::new(step);
        let hit = |&(uid, cost): &(&'static str, u64)| {
            let hit = Hit::new(limit(uid, strategy_of(strategies, uid)), key, rate, cost);
            let hit = if random.upto(2) == 0 { hit.at_least(random.upto(cost)) } else { hit };
            if random.upto(4) == 0 { hit.not_enforced() } else { hit }
        };
        let hits: Vec<_> = costs.iter().map(hit).collect();
        let terms: Vec<_> = hits.iter().map(|hit| (hit.limit.uid(), hit.cost, hit.at_least, hit.enforced)).collect();
        let says =
            format!("{}, step {step}: {terms:?} at {} us, {:?} at {rate:?}", self.what, self.now(), self.strategies);

        if self.random.upto(3) == 0 {
            let (expected, found) = (self.reference.peek(&hits, self.clock.now()), self.redis.peek(&hits).await?);
            assert_eq!(found.outcomes(), expected, "peek: {says}");
        }
        let (expected, found) = (self.reference.decide(&hits, self.clock.now()), self.redis.decide(&hits).await?);
        assert_eq!(found.outcomes(), expected, "{says}");
        if found.is_admitted() {
            let charged = costs.iter().zip(found.outcomes()).filter(|(_, outcome)| outcome.admitted);
            self.charged.extend(charged.map(|(&(uid, _), outcome)| (uid, rate, outcome.granted, outcome.at)));
        }
        self.look_at(&found, &costs);
        Ok(found.is_admitted())
    }

    /// Picks the targets of the next steps.
    fn look_at(&mut self, decision: &Decision, costs: &[(&'static str, u64)]) {
        for (outcome, &(uid, _)) in decision.outcomes().iter().zip(costs) {
            let standing = LimitStatus::new(strategy_of(&self.strategies, uid), self.rate, outcome);
            self.remaining = standing.remaining().units().unwrap_or(u64::MAX);
            let waits = [standing.retry_after(), standing.more_after(), Some(standing.reset_after())];
            self.turns = waits.into_iter().flatten().map(micros).collect();
        }
    }

    /// Settles one of the last charges to a cost near to it, to any cost, or to one that is close to a bound.
    async fn settle(&mut self, step: u64) -> Result {
        let last = self.charged.len().saturating_sub(1 + usize::try_from(self.random.upto(7))?);
        let Some((uid, rate, cost, charged_at)) = self.charged.get(last).copied() else { return Ok(()) };
        let actual = match self.random.upto(9) {
            0 | 1 => 0,
            2 => cost.saturating_sub(1),
            3 => cost + 1,
            4 | 5 => self.random.upto(cost),
            6 => cost + self.random.of_any_size(rate.limit()),
            7 => cost + SlidingWindowLog::MAX_LIMIT - self.random.upto(rate.limit().min(SlidingWindowLog::MAX_LIMIT)),
            8 => cost + (1 << 47) - self.random.upto(2 * rate.limit()).min(1 << 47),
            _ => self.random.of_any_size(MAX_SENT),
        };
        let actual = actual.min(MAX_SENT);
        let hit = Hit::new(limit(uid, strategy_of(&self.strategies, uid)), &self.key, rate, cost);
        let adjustment = Charge::new(hit, charged_at).settle(actual);
        let expected = self.reference.settle(adjustment, self.clock.now());
        let found = self.redis.adjust(&[adjustment]).await?;
        let says = format!("{}, step {step}: {adjustment:?} at {} us", self.what, self.now());
        assert_same(&found, expected.as_slice(), &says);
        if let (Some(Ok(outcome)), Some((.., cost, _))) = (&expected, self.charged.get_mut(last)) {
            *cost = actual;
            let standing = LimitStatus::new(hit.limit.strategy(), rate, outcome);
            self.turns =
                [standing.more_after(), Some(standing.reset_after())].into_iter().flatten().map(micros).collect();
        }
        Ok(())
    }

    async fn reset(&mut self) -> Result {
        let [strategy, _] = &self.strategies;
        let hit = Hit::new(limit("limit", strategy), &self.key, self.rate, 1);
        self.reference.reset(hit);
        self.redis.reset(&[hit]).await?;
        Ok(())
    }
}

fn micros(wait: Duration) -> u64 {
    // What is overdrawn may take any time.
    u64::try_from(wait.as_micros()).unwrap_or(u64::MAX).min(LATEST)
}

fn strategy_of<'a>([one, another]: &'a [AnyStrategy; 2], uid: &str) -> &'a AnyStrategy {
    if uid == "limit" { one } else { another }
}

/// Returns the same period with a limit that works for a log.
fn smaller(rate: Rate, random: &mut Random) -> Rate {
    Rate::new(random.of_any_size(SlidingWindowLog::MAX_LIMIT), rate.period()).unwrap_or(rate)
}
