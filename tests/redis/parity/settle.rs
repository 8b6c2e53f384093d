//! Settlements at the bounds of what is stored.

use std::time::Duration;

use tests::limit;
use traffik::{
    Rate,
    backend::{Adjusted, AdjustmentError, Backend, MemoryBackend},
    client::Key,
    clock::Timestamp,
    decision::{Charge, Hit, LimitStatus, Outcome},
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SettleError,
        SlidingWindowCounter, SlidingWindowLog, Strategy, TokenBucket,
    },
    test::ManualClock,
};
use traffik_redis::RedisBackend;

use crate::{Result, builder, own::RollOver, server::Server};

/// The start of a minute, of a day and of a window of 50 days.
const START: u64 = 400 * 4_320_000_000_000;
const SECOND: u64 = 1_000_000;
const CENTURY: u64 = 36_500 * 86_400 * SECOND;

/// One client of one limit.
struct Entry<'a> {
    redis: &'a RedisBackend,
    clock: &'a ManualClock,
    key: Key,
    strategy: AnyStrategy,
    rate: Rate,
}

impl Entry<'_> {
    fn hit(&self, cost: u64) -> Hit<'_> {
        Hit::new(limit("limit", &self.strategy), &self.key, self.rate, cost)
    }

    fn go_to(&self, micros: u64) {
        self.clock.set(Timestamp::from_micros(START + micros));
    }

    async fn charge(&self, cost: u64) -> Result<Charge<'_>> {
        let decision = self.redis.decide(&[self.hit(cost)]).await?;
        assert!(decision.is_admitted(), "{cost} of {:?}", self.strategy);
        let at = decision.outcomes().first().ok_or("no outcome")?.at;
        Ok(Charge::new(self.hit(cost), at))
    }

    async fn settle(&self, charge: Charge<'_>, actual: u64) -> Result<Adjusted> {
        Ok(self.redis.adjust(&[charge.settle(actual)]).await?.pop().ok_or("no answer")?)
    }

    async fn peek(&self, cost: u64) -> Result<Outcome> {
        let decision = self.redis.peek(&[self.hit(cost)]).await?;
        Ok(decision.outcomes().first().ok_or("no outcome")?.clone())
    }

    async fn remaining(&self) -> Result<u64> {
        let outcome = self.peek(0).await?;
        Ok(LimitStatus::new(&self.strategy, self.rate, &outcome).remaining().units().unwrap_or(u64::MAX))
    }

    async fn wait(&self, cost: u64) -> Result<Option<Duration>> {
        Ok(LimitStatus::new(&self.strategy, self.rate, &self.peek(cost).await?).retry_after())
    }
}

struct Rig {
    _server: Server,
    redis: RedisBackend,
    clock: ManualClock,
    entries: std::cell::Cell<u64>,
}

impl Rig {
    async fn start() -> Result<Self> {
        let (server, clock) = (Server::start()?, ManualClock::at(Timestamp::from_micros(START)));
        let redis = builder(&server).connect().await?.by_hand(clock.clone());
        Ok(Self { _server: server, redis, clock, entries: std::cell::Cell::new(0) })
    }

    /// An entry of a new client at the start.
    fn entry(&self, strategy: impl Into<AnyStrategy>, rate: &str) -> Result<Entry<'_>> {
        self.entries.set(self.entries.get() + 1);
        let (key, strategy, rate) = (Key::from(self.entries.get()), strategy.into(), rate.parse()?);
        let entry = Entry { redis: &self.redis, clock: &self.clock, key, strategy, rate };
        entry.go_to(0);
        Ok(entry)
    }
}

fn is_too_much(adjusted: &Adjusted) -> bool {
    matches!(adjusted, Err(AdjustmentError::Strategy(SettleError::TooMuch { .. })))
}

/// All that the strategies give back and charge, 10 s after a charge of 60 of 60 in a minute.
#[tokio::test]
async fn settled_charge_leaves_what_the_table_says() -> Result {
    let rig = Rig::start().await?;
    // In 10 s a meter has drained 10. What stays of the charge drains first.
    let table: [(AnyStrategy, [(u64, u64); 5]); 7] = [
        (FixedWindow.into(), [(0, 60), (5, 55), (30, 30), (60, 0), (90, 0)]),
        (SlidingWindowCounter.into(), [(0, 60), (5, 55), (30, 30), (60, 0), (90, 0)]),
        (SlidingWindowLog.into(), [(0, 60), (5, 55), (30, 30), (60, 0), (90, 0)]),
        (TokenBucket::new().into(), [(0, 60), (5, 60), (30, 40), (60, 10), (90, 0)]),
        (LeakyBucket::new().into(), [(0, 60), (10, 60), (11, 59), (60, 10), (70, 0)]),
        (Gcra::new().burst(60).into(), [(0, 60), (9, 60), (59, 11), (61, 9), (90, 0)]),
        (LeakyBucketWithQueue::new().queue(59).into(), [(0, 60), (5, 60), (30, 40), (60, 10), (90, 0)]),
    ];
    for (strategy, actuals) in table {
        for (actual, remaining) in actuals {
            let entry = rig.entry(strategy.clone(), "60/min")?;
            let charge = entry.charge(60).await?;
            entry.go_to(10 * SECOND);
            let outcome = entry.settle(charge, actual).await??;
            assert_eq!(outcome.cost, actual);
            assert_eq!(entry.remaining().await?, remaining, "{actual} of {strategy:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn overdrawn_limit_refuses_until_the_excess_is_gone() -> Result {
    let rig = Rig::start().await?;
    let table: [(AnyStrategy, u64); 5] = [
        // The excess ends with the window, fades within the next one, or drains.
        (FixedWindow.into(), 60),
        (SlidingWindowCounter.into(), 90),
        (SlidingWindowLog.into(), 60),
        (TokenBucket::new().into(), 61),
        (LeakyBucketWithQueue::new().queue(59).into(), 61),
    ];
    for (strategy, waits) in table {
        let entry = rig.entry(strategy.clone(), "60/min")?;
        let charge = entry.charge(60).await?;
        entry.settle(charge, 120).await??;
        let wait = entry.wait(1).await?.ok_or("it is not overdrawn")?;
        // Of 120 in the window before, one less counts after another half of a second.
        let expected = if waits == 90 { Duration::from_micros(90_500_000) } else { Duration::from_secs(waits) };
        assert_eq!(wait, expected, "{strategy:?}");
        entry.go_to(u64::try_from(wait.as_micros())? - 1);
        assert!(!entry.peek(1).await?.admitted, "{strategy:?}");
        entry.go_to(u64::try_from(wait.as_micros())?);
        assert!(entry.peek(1).await?.admitted, "{strategy:?}");
    }
    Ok(())
}

#[tokio::test]
async fn count_is_stored_up_to_its_bound_and_not_beyond() -> Result {
    let rig = Rig::start().await?;
    for (strategy, rate, bound) in [
        (AnyStrategy::from(FixedWindow), "100000000000000/50d", 1_u64 << 47),
        (SlidingWindowCounter.into(), "100000000000000/50d", 1 << 47),
        (FixedWindow.into(), "5/min", 1 << 47),
        (SlidingWindowLog.into(), "5/min", 65_536),
        (SlidingWindowLog.into(), "65536/min", 65_536),
    ] {
        let entry = rig.entry(strategy.clone(), rate)?;
        let used = 5;
        let charge = entry.charge(used).await?;
        assert!(is_too_much(&entry.settle(charge, bound + 1).await?), "{strategy:?}");
        // Nothing changed.
        assert_eq!(entry.remaining().await?, entry.rate.limit() - used, "{strategy:?}");
        let settled = entry.settle(charge, bound).await??;
        assert!(settled.past.is_some());
        assert_eq!(entry.remaining().await?, 0);
        assert!(!entry.peek(1).await?.admitted, "{strategy:?}");
        // One more does not fit any more, and all of it is given back.
        let whole = Charge::new(entry.hit(bound), charge.at);
        assert!(is_too_much(&entry.settle(whole, bound + 1).await?), "{strategy:?}");
        entry.settle(whole, used).await??;
        assert_eq!(entry.remaining().await?, entry.rate.limit() - used, "{strategy:?}");
    }
    Ok(())
}

#[tokio::test]
async fn settlement_around_a_bound_is_the_same_in_memory() -> Result {
    let rig = Rig::start().await?;
    let memory = MemoryBackend::with_clock("test", rig.clock.clone());
    let strategies: [AnyStrategy; 8] = [
        FixedWindow.into(),
        SlidingWindowCounter.into(),
        SlidingWindowLog.into(),
        TokenBucket::new().into(),
        LeakyBucket::new().into(),
        Gcra::new().burst(5).into(),
        LeakyBucketWithQueue::new().queue(5).into(),
        Concurrency.into(),
    ];
    for strategy in strategies {
        for rate in ["5/min", "1/day", "100000000000000/50d", "100000000000000/us"] {
            if strategy.check(rate.parse()?).is_err() {
                continue;
            }
            for bound in [65_536, 1_u64 << 47, 1 << 52] {
                for actual in [bound - 1, bound, bound + 1, u64::MAX] {
                    let entry = rig.entry(strategy.clone(), rate)?;
                    let charge = entry.charge(1).await?;
                    memory.decide(&[entry.hit(1)]).await?;
                    let in_memory = memory.adjust(&[charge.settle(actual)]).await?.pop().ok_or("no answer")?;
                    let shown = |adjusted: Adjusted| {
                        let shown = adjusted.map(|outcome| {
                            let status = LimitStatus::new(&strategy, entry.rate, &outcome);
                            (status.remaining(), status.reset_after())
                        });
                        shown.map_err(|error| error.to_string())
                    };
                    let in_redis = entry.settle(charge, actual).await?;
                    assert_eq!(shown(in_redis), shown(in_memory), "{actual} of {strategy:?} at {rate}");
                }
            }
        }
    }
    Ok(())
}

/// Sums of a log are stored modulo 65 536.
#[tokio::test]
async fn overdrawn_log_of_many_charges_does_not_wrap() -> Result {
    let rig = Rig::start().await?;
    for charges in [1, 2, 100] {
        let entry = rig.entry(SlidingWindowLog, "100/min")?;
        let mut charged = Vec::new();
        for number in 0..charges {
            entry.go_to(number);
            charged.push(entry.charge(1).await?);
        }
        let last = charged.pop().ok_or("no charge")?;
        for above in [65_535, 65_536, 65_537] {
            let actual = above - (charges - 1);
            let settled = entry.settle(last, actual).await?;
            assert_eq!(is_too_much(&settled), above == 65_537, "{charges} charges, {above}");
            if settled.is_ok() {
                assert_eq!(entry.remaining().await?, 0);
                entry.settle(Charge::new(entry.hit(actual), last.at), 1).await??;
            }
            assert_eq!(entry.remaining().await?, 100 - charges);
        }
    }
    Ok(())
}

#[tokio::test]
async fn meter_drains_within_a_century_at_most() -> Result {
    let rig = Rig::start().await?;
    for strategy in [
        AnyStrategy::from(TokenBucket::new().burst(10)),
        LeakyBucket::new().capacity(10).into(),
        Gcra::new().burst(10).into(),
        LeakyBucketWithQueue::new().queue(9).into(),
    ] {
        // One in a day, or a third of a microsecond more than that for each.
        for (rate, most) in [("1/day", 36_500), ("3/259200000001us", 36_499)] {
            let entry = rig.entry(strategy.clone(), rate)?;
            let charge = entry.charge(1).await?;
            assert!(is_too_much(&entry.settle(charge, most + 1).await?), "{strategy:?} at {rate}");
            assert_eq!(entry.remaining().await?, 9);
            let settled = entry.settle(charge, most).await??;
            let expires = settled.past.ok_or("nothing stored")?.state.expires().as_micros();
            assert!(expires <= START + CENTURY && expires > START + CENTURY - 2 * 86_400 * SECOND);
            assert_eq!(entry.remaining().await?, 0);
            entry.settle(Charge::new(entry.hit(most), charge.at), 1).await??;
            assert_eq!(entry.remaining().await?, 9);
        }
    }
    Ok(())
}

/// More than Lua is exact with is an error, and not another number. The charges next to it are settled.
#[tokio::test]
async fn cost_that_cannot_be_sent_is_an_error_of_its_own() -> Result {
    let rig = Rig::start().await?;
    let entry = rig.entry(TokenBucket::new(), "100000000000000/us")?;
    let charge = entry.charge(100_000_000_000_000).await?;
    for (cost, actual) in [(1 << 52, 1), (1, 1 << 52), (u64::MAX, 0), (0, u64::MAX)] {
        let other = Charge::new(entry.hit(cost), charge.at);
        let adjusted = entry.redis.adjust(&[other.settle(actual), charge.settle(50_000_000_000_000)]).await?;
        assert!(matches!(adjusted.as_slice(), [too_much, Ok(_)] if is_too_much(too_much)), "{adjusted:?}");
    }
    // What is sent is exact beyond the highest limit as well.
    let entry = rig.entry(FixedWindow, "100000000000000/50d")?;
    let charge = entry.charge(100_000_000_000_000).await?;
    let settled = entry.settle(charge, 100_000_000_000_003).await??;
    assert_eq!(settled.past.map(|past| past.state.words()[1]), Some(100_000_000_000_003));
    let whole = Charge::new(entry.hit(100_000_000_000_003), charge.at);
    assert_eq!(entry.settle(whole, 1).await??.past.map(|past| past.state.words()[1]), Some(1));
    Ok(())
}

#[tokio::test]
async fn permit_has_no_amount_and_is_given_back_whole() -> Result {
    let rig = Rig::start().await?;
    let entry = rig.entry(Concurrency, "5/30s")?;
    let charge = entry.charge(2).await?;
    for actual in [1, 3, 65_536] {
        let settled = entry.settle(charge, actual).await?;
        assert!(matches!(settled, Err(AdjustmentError::Strategy(SettleError::Indivisible { .. }))), "{settled:?}");
        assert_eq!(entry.remaining().await?, 3);
    }
    entry.settle(charge, 2).await??;
    assert_eq!(entry.remaining().await?, 3);
    entry.settle(charge, 0).await??;
    assert_eq!(entry.remaining().await?, 5);
    Ok(())
}

/// Several settlements in one call meet what those before them left behind.
#[tokio::test]
async fn settlements_of_one_call_follow_each_other() -> Result {
    let rig = Rig::start().await?;
    let strategies: [AnyStrategy; 4] =
        [FixedWindow.into(), SlidingWindowCounter.into(), SlidingWindowLog.into(), TokenBucket::new().into()];
    for strategy in strategies {
        let entry = rig.entry(strategy.clone(), "10/min")?;
        let charge = entry.charge(4).await?;
        let nothing = Charge::new(entry.hit(0), charge.at);
        let all =
            [charge.settle(0), charge.settle(4), nothing.settle(7), Charge::new(entry.hit(7), charge.at).settle(2)];
        let adjusted = entry.redis.adjust(&all).await?;
        let left: Vec<_> = adjusted
            .iter()
            .flatten()
            .map(|outcome| LimitStatus::new(&strategy, entry.rate, outcome).remaining())
            .collect();
        assert_eq!(left, [10, 10, 3, 8], "{strategy:?}");
        assert_eq!(entry.remaining().await?, 8, "{strategy:?}");
    }
    Ok(())
}

/// A strategy without a form in Lua is settled here, entry by entry.
#[tokio::test]
async fn settlements_of_a_custom_strategy_follow_each_other() -> Result {
    let rig = Rig::start().await?;
    for _ in 0..20 {
        let entry = rig.entry(AnyStrategy::custom(RollOver { saved: 0 }), "10/min")?;
        let charge = entry.charge(4).await?;
        let six = Charge::new(entry.hit(6), charge.at);
        entry.redis.adjust(&[charge.settle(6), six.settle(0), charge.settle(9)]).await?;
        assert_eq!(entry.remaining().await?, 5);
    }
    Ok(())
}
