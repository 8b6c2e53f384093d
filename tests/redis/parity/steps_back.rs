//! Logs on a clock that often goes back: decisions, settlements and renewals of short and long logs. While all charges
//! are of one period, exactly the held ones count.

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
    random::Random,
    reference::{Reference, assert_same},
};
use crate::{Result, builder, raw::Reply, server::Server};

const RATE: Rate = Rate::literal("500/30s");
const OTHERS: [Rate; 3] = [RATE, Rate::literal("400/10s"), Rate::literal("500/45s")];
const PERIOD: u64 = 30_000_000;
const STEPS: u64 = 250;

struct Trace {
    seed: u64,
    key: Key,
    strategy: AnyStrategy,
    random: Random,
    clock: ManualClock,
    reference: Reference,
    redis: RedisBackend,
    /// The charges that are held: their rate, cost and time, and how much time passes until they end.
    held: Vec<(Rate, u64, Timestamp, u64)>,
    forward: u64,
}

impl Trace {
    fn new(redis: &RedisBackend, seed: u64) -> Self {
        let clock = ManualClock::at(Timestamp::from_micros(1_700_000_000_000_000));
        Self {
            seed,
            key: Key::from(("steps back", seed)),
            strategy: if seed.is_multiple_of(2) { SlidingWindowLog.into() } else { Concurrency.into() },
            random: Random::new(seed),
            redis: redis.by_hand(clock.clone()),
            clock,
            reference: Reference::default(),
            held: Vec::new(),
            forward: 0,
        }
    }

    /// Whether all charges have one period.
    fn is_even(&self) -> bool {
        !self.seed.is_multiple_of(3)
    }

    fn move_clock(&mut self) {
        let now = self.clock.now().as_micros();
        let next = match self.random.upto(15) {
            0 => now.saturating_sub(self.random.of_any_size(3 * PERIOD)),
            1 => now - self.random.upto(3).min(now),
            2 => now.saturating_sub(self.random.upto(PERIOD / 4)),
            3 if self.random.upto(19) == 0 => self.random.upto(2 * PERIOD).max(1),
            3..=5 => now,
            _ => now + self.random.upto(PERIOD / 8),
        };
        let next = next.min(now + PERIOD / 4).max(1);
        self.forward += next.saturating_sub(now);
        self.clock.set(Timestamp::from_micros(next));
    }

    fn says(&self, step: u64) -> String {
        format!("seed {}, step {step} at {} us", self.seed, self.clock.now().as_micros())
    }

    fn hit(&self, rate: Rate, cost: u64) -> Hit<'_> {
        Hit::new(limit("log", &self.strategy), &self.key, rate, cost)
    }

    async fn decide(&mut self, step: u64) -> Result {
        let rate = if self.is_even() { RATE } else { self.random.pick(&OTHERS, RATE) };
        let (cost, now) = (self.random.upto(3), self.clock.now());
        let hit = Hit::new(limit("log", &self.strategy), &self.key, rate, cost);
        let peeked = self.redis.peek(&[hit]).await?;
        assert_eq!(peeked.outcomes(), self.reference.peek(&[hit], now), "peek: {}", self.says(step));
        let found = self.redis.decide(&[hit]).await?;
        assert_eq!(found.outcomes(), self.reference.decide(&[hit], now), "{}", self.says(step));
        let ends = self.forward + 1 + self.random.upto(PERIOD / 2);
        self.held.extend((found.is_admitted() && cost > 0).then_some((rate, cost, now, ends)));
        Ok(())
    }

    /// Renews or gives back some charges in one call.
    async fn end(&mut self, places: Vec<usize>, step: u64) -> Result {
        let (now, says) = (self.clock.now(), self.says(step));
        let mut ended = Vec::new();
        for place in places {
            ended.push(self.held.swap_remove(place));
        }
        let mut reference = std::mem::take(&mut self.reference);
        let charges: Vec<_> = ended.iter().map(|&(rate, cost, at, _)| Charge::new(self.hit(rate, cost), at)).collect();
        if self.random_of(step) == 0 {
            let refunds: Vec<_> = charges.iter().map(|charge| charge.settle(0)).collect();
            let found = self.redis.adjust(&refunds).await?;
            let expected: Vec<_> = refunds.iter().filter_map(|refund| reference.settle(*refund, now)).collect();
            assert_same(&found, &expected, &says);
        } else {
            let found = self.redis.renew(&charges).await?;
            let expected: Vec<_> = charges.iter().map(|charge| reference.renew(*charge, now)).collect();
            assert_eq!(found, expected, "{says}");
            assert!(!self.is_even() || found.iter().all(Option::is_some), "not renewed: {says}");
            let ends: Vec<_> = found.iter().map(|_| self.forward + 1 + self.random.upto(PERIOD / 2)).collect();
            let renewed = ended.into_iter().zip(found).zip(ends);
            let renewed = renewed.filter_map(|(((rate, cost, ..), at), ends)| Some((rate, cost, at?, ends)));
            self.held.extend(renewed);
        }
        self.reference = reference;
        Ok(())
    }

    /// Returns 0 for half of the steps.
    fn random_of(&self, step: u64) -> u64 {
        Random::new(self.seed.wrapping_add(step)).upto(1)
    }

    async fn follow(mut self) -> Result {
        for step in 0..STEPS {
            self.move_clock();
            let forward = self.forward;
            let due = |held: &[(Rate, u64, Timestamp, u64)]| held.iter().position(|&(.., ends)| ends <= forward);
            while let Some(place) = due(&self.held) {
                self.end(vec![place], step).await?;
            }
            for _ in 0..self.random.upto(3) {
                self.decide(step).await?;
            }
            if self.random.upto(4) == 0 && self.held.len() > 2 {
                self.end(vec![0, 1, 0], step).await?;
            }
            if self.is_even() {
                let hit = self.hit(RATE, 0);
                let peeked = self.redis.peek(&[hit]).await?;
                let outcome = peeked.outcomes().first().ok_or("no outcome")?;
                let remaining = LimitStatus::new(&self.strategy, RATE, outcome).remaining().units();
                let held: u64 = self.held.iter().map(|(_, cost, ..)| cost).sum();
                assert_eq!(remaining, Some(RATE.limit() - held), "{}", self.says(step));
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn logs_on_a_clock_that_goes_back_equal_the_reference() -> Result {
    let server = Server::start()?;
    let redis = builder(&server).connect().await?;
    let traces = if std::env::var_os("TRAFFIK_LONG").is_some() { 1200 } else { 12 };
    let mut running: JoinSet<_> = (0..traces).map(|seed| Trace::new(&redis, seed).follow()).collect();
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

/// The stored form has another version while clamped charges count, and then the usual one again.
#[tokio::test]
async fn log_is_stored_in_its_usual_form_until_the_clock_goes_back() -> Result {
    let server = Server::start()?;
    let clock = ManualClock::at(Timestamp::from_micros(1_700_000_000_000_000));
    let redis = builder(&server).connect().await?.by_hand(clock.clone());
    let (strategy, key, mut raw) = (AnyStrategy::from(SlidingWindowLog), Key::from("alice"), server.raw()?);
    let mut stored = async |second: u64, charges: u64| -> Result<(Option<u8>, usize)> {
        for micros in 0..charges {
            clock.set(Timestamp::from_micros(1_700_000_000_000_000 + second * 1_000_000 + micros));
            redis.decide(&[Hit::new(limit("log", &strategy), &key, RATE, 1)]).await?;
        }
        let [stored_at] = raw.keys()?.try_into().map_err(|keys| format!("{keys:?}"))?;
        let Reply::Bytes(bytes) = raw.call(&["GET", &stored_at])? else { return Err("no string".into()) };
        Ok((bytes.first().copied(), bytes.len()))
    };
    assert_eq!(stored(0, 1).await?, (Some(3), 35 + 8));
    // More than are read at first.
    assert_eq!(stored(10, 100).await?, (Some(3), 35 + 8 * 101));
    // The hundred end together with the present one, but for one that was charged at this time.
    assert_eq!(stored(5, 1).await?, (Some(4), 42 + 8 * 2));
    assert_eq!(stored(6, 100).await?, (Some(4), 42 + 8 * 102));
    // Those ended at second 35, and the others at 36.
    assert_eq!(stored(35, 1).await?, (Some(3), 35 + 8 * 101));
    Ok(())
}
