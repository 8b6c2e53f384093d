//! One client's log of hundreds and thousands of charges, which is read in pages, grows at its end and is sometimes
//! trimmed.

use std::time::Duration;

use tests::limit;
use tokio::task::JoinSet;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    clock::{Clock, Timestamp},
    decision::{Charge, Hit, LimitStatus},
    strategy::{AnyStrategy, Concurrency, SlidingWindowLog},
    test::ManualClock,
};
use traffik_redis::RedisBackend;

use super::{
    AT_ONCE,
    random::Random,
    reference::{Reference, assert_same},
};
use crate::{Result, builder, server::Server};

const STEPS: u64 = 2000;

struct LongLog {
    seed: u64,
    key: Key,
    strategy: AnyStrategy,
    /// The usual rate, and one that is used sometimes.
    rates: [Rate; 2],
    random: Random,
    clock: ManualClock,
    reference: Reference,
    redis: RedisBackend,
    charged: Vec<(Rate, u64, Timestamp)>,
    remaining: u64,
    /// Waits that end at a change of the state.
    turns: Vec<u64>,
}

impl LongLog {
    fn new(redis: &RedisBackend, seed: u64) -> Result<Self> {
        let mut random = Random::new(seed);
        let limit = 100 + random.upto(if seed.is_multiple_of(4) { 3000 } else { 500 });
        let period = random.of_any_size(50 * 86_400 * 1_000_000).max(limit).max(100_000);
        let rate = Rate::new(limit, Duration::from_micros(period))?;
        let other = match seed % 3 {
            // The period is the same, or any.
            0 => rate,
            1 => Rate::new(limit / 2 + random.upto(limit), rate.period())?,
            _ => Rate::new(
                limit / 2 + random.upto(limit),
                Duration::from_micros(random.of_any_size(2 * period).max(100_000)).min(Rate::MAX_PERIOD),
            )?,
        };
        let clock = ManualClock::at(Timestamp::from_micros(random.of_any_size(2_000_000_000_000_000)));
        Ok(Self {
            seed,
            key: Key::from(("long log", seed)),
            strategy: if seed.is_multiple_of(2) { SlidingWindowLog.into() } else { Concurrency.into() },
            rates: [rate, other],
            random,
            redis: redis.by_hand(clock.clone()),
            clock,
            reference: Reference::default(),
            charged: Vec::new(),
            remaining: limit,
            turns: vec![0],
        })
    }

    /// The number of decisions, and of those admitted.
    async fn follow(mut self) -> Result<(u64, u64)> {
        let mut admitted = 0;
        for step in 0..STEPS {
            self.move_on();
            if self.random.upto(30) == 0 {
                self.settle(step).await?;
            }
            if self.random.upto(30) == 0 {
                self.renew(step).await?;
            }
            admitted += u64::from(self.decide(step).await?);
        }
        Ok((STEPS, admitted))
    }

    /// Usually advances by about the time that frees room for one charge, so that the log stays long.
    fn move_on(&mut self) {
        let [rate, _] = self.rates;
        let (now, interval) = (self.clock.now().as_micros(), 2 * rate.period_micros() / rate.limit());
        let next = match self.random.upto(499) {
            0 => now.saturating_sub(self.random.of_any_size(rate.period_micros())).max(1),
            1 => now + self.random.upto(rate.period_micros()),
            2 => now + rate.period_micros().saturating_sub(self.random.upto(2 * interval)),
            3..=49 => now,
            50..=99 => {
                let turn = self.random.pick(&self.turns, 0).min(rate.period_micros());
                now + (turn + self.random.upto(2)).saturating_sub(1)
            }
            _ => now + self.random.upto(interval),
        };
        self.clock.set(Timestamp::from_micros(next));
    }

    async fn decide(&mut self, step: u64) -> Result<bool> {
        let [usual, other] = self.rates;
        let now = self.clock.now();
        let costs: Vec<_> = (0..=self.random.pick(&[0, 0, 0, 0, 1, 2], 0))
            .map(|_| {
                let cost = match self.random.upto(399) {
                    0 => self.random.cost(self.remaining, usual.limit()),
                    1 => self.remaining,
                    2..=9 => self.remaining + 1,
                    10..=19 => usual.limit() + 1 - self.random.of_any_size(usual.limit()),
                    20..=59 => self.random.upto(5),
                    _ => 1,
                };
                (if self.random.upto(39) == 0 { other } else { usual }, cost)
            })
            .collect();
        let hit = |&(rate, cost): &(Rate, u64)| Hit::new(limit("log", &self.strategy), &self.key, rate, cost);
        let hits: Vec<_> = costs.iter().map(hit).collect();
        let says = format!("seed {}, step {step}: {costs:?} at {now:?} of {:?}", self.seed, self.rates);
        if self.random.upto(7) == 0 {
            assert_eq!(self.redis.peek(&hits).await?.outcomes(), self.reference.peek(&hits, now), "peek: {says}");
        }
        let (found, expected) = (self.redis.decide(&hits).await?, self.reference.decide(&hits, now));
        assert_eq!(found.outcomes(), expected, "{says}");
        if let (Some(outcome), Some(hit)) = (found.outcomes().last(), hits.last()) {
            let standing = LimitStatus::new(hit.limit.strategy(), hit.rate, outcome);
            self.remaining = standing.remaining().units().unwrap_or(u64::MAX);
            let waits = [standing.retry_after(), standing.more_after()];
            self.turns = waits
                .into_iter()
                .flatten()
                .map(|wait| u64::try_from(wait.as_micros()).unwrap_or(0))
                .chain([0])
                .collect();
        }
        if found.is_admitted() {
            self.charged.extend(costs.iter().map(|&(rate, cost)| (rate, cost, now)));
        }
        Ok(found.is_admitted())
    }

    /// Returns indexes of some charges, usually of the last few.
    fn some_charges(&mut self) -> Result<Vec<usize>> {
        let most = if self.random.upto(2) == 0 { self.rates[0].limit() } else { 5 };
        let mut places = Vec::new();
        for _ in 0..=self.random.upto(4) {
            let back = usize::try_from(self.random.upto(most))?;
            places.extend(self.charged.len().checked_sub(back + 1));
        }
        Ok(places)
    }

    /// In any order, sometimes with the same charge twice.
    async fn settle(&mut self, step: u64) -> Result {
        let places = self.some_charges()?;
        let actuals: Vec<_> = places.iter().map(|_| self.random.pick(&[0, 0, 1, 2, 5, 20, 65_530], 0)).collect();
        let mut reference = std::mem::take(&mut self.reference);
        let charges = places.iter().filter_map(|&place| self.charge(place));
        let adjustments: Vec<_> = charges.zip(&actuals).map(|(charge, &actual)| charge.settle(actual)).collect();
        let found = self.redis.adjust(&adjustments).await?;
        let now = self.clock.now();
        let expected: Vec<_> = adjustments.iter().filter_map(|adjustment| reference.settle(*adjustment, now)).collect();
        assert_same(&found, &expected, &format!("seed {}, step {step}: {adjustments:?} at {now:?}", self.seed));
        self.reference = reference;
        for ((place, actual), _) in places.into_iter().zip(actuals).zip(found).filter(|(_, found)| found.is_ok()) {
            if let Some((_, cost, _)) = self.charged.get_mut(place) {
                *cost = actual;
            }
        }
        Ok(())
    }

    async fn renew(&mut self, step: u64) -> Result {
        let places = self.some_charges()?;
        let mut reference = std::mem::take(&mut self.reference);
        let charges: Vec<_> = places.iter().filter_map(|&place| self.charge(place)).collect();
        let found = self.redis.renew(&charges).await?;
        let now = self.clock.now();
        let expected: Vec<_> = charges.iter().map(|charge| reference.renew(*charge, now)).collect();
        self.reference = reference;
        assert_eq!(found, expected, "seed {}, step {step}: {places:?} at {} us", self.seed, now.as_micros());
        for (place, renewed) in places.into_iter().zip(found) {
            if let (Some((.., charged_at)), Some(renewed)) = (self.charged.get_mut(place), renewed) {
                *charged_at = renewed;
            }
        }
        Ok(())
    }

    fn charge(&self, place: usize) -> Option<Charge<'_>> {
        let &(rate, cost, charged_at) = self.charged.get(place)?;
        Some(Charge::new(Hit::new(limit("log", &self.strategy), &self.key, rate, cost), charged_at))
    }
}

#[tokio::test]
async fn long_logs_equal_the_reference() -> Result {
    let server = Server::start()?;
    let redis = builder(&server).connect().await?;
    let traces = if std::env::var_os("TRAFFIK_LONG").is_some() { 1200 } else { 24 };
    let mut running = JoinSet::new();
    let (mut steps, mut admitted) = (0, 0);
    for seed in 0..traces + AT_ONCE {
        if seed < traces {
            running.spawn(LongLog::new(&redis, seed)?.follow());
        }
        if seed >= AT_ONCE
            && let Some(done) = running.join_next().await
        {
            let (more, of_them) = done??;
            (steps, admitted) = (steps + more, admitted + of_them);
        }
    }
    println!("long logs: {steps} decisions, {admitted} of them admitted");
    assert_eq!(server.raw()?.keys_without_end()?, Vec::<String>::new());
    assert!(admitted > steps / 4 && admitted < steps);
    // Many of these logs were too long to be written whole, and some were trimmed.
    let run = server.raw()?.commands_run()?;
    let calls = |name: &str| run.iter().find(|(command, _)| command == name).map_or(0, |&(_, calls)| calls);
    assert!(calls("setrange") > steps / 4 && calls("set") > steps / 100, "{run:?}");
    Ok(())
}
