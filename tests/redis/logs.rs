//! `SlidingWindowLog` in Redis: its size, its lifetime, and that a long log takes no longer than a short one.

use std::time::Duration;

use tests::limit;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    clock::Timestamp,
    decision::{Charge, Hit},
    strategy::{AnyStrategy, SlidingWindowLog},
    test::ManualClock,
};
use traffik_redis::RedisBackend;

use crate::{Client, Result, builder, own::Leases, raw::Raw, server::Server};

const START: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);

/// Makes this many charges, a second apart.
async fn charge(backend: &RedisBackend, clock: &ManualClock, client: &Client, charges: u64) -> Result {
    for _ in 0..charges {
        clock.advance(Duration::from_secs(1));
        assert!(client.decide(backend, 1).await?.admitted);
    }
    Ok(())
}

fn length(raw: &mut Raw) -> Result<i64> {
    let key = raw.keys()?.pop().ok_or("no key")?;
    raw.call(&["STRLEN", &key])?.integer().ok_or_else(|| "no length".into())
}

#[tokio::test]
async fn charge_takes_eight_bytes_and_expired_ones_are_removed() -> Result {
    let server = Server::start()?;
    let clock = ManualClock::at(START);
    let backend = builder(&server).connect().await?.by_hand(clock.clone());
    let mut raw = server.raw()?;
    let client = Client::new("alice", SlidingWindowLog, "1000/1000s")?;
    charge(&backend, &clock, &client, 1).await?;
    assert_eq!(length(&mut raw)?, 35 + 8);
    charge(&backend, &clock, &client, 999).await?;
    assert_eq!(length(&mut raw)?, 35 + 8 * 1000);
    // From now on a thousand charges count at any time.
    for _ in 0..50 {
        charge(&backend, &clock, &client, 100).await?;
        assert!(length(&mut raw)? <= 35 + 8 * 2001, "{}", length(&mut raw)?);
    }
    // Half of the charges have expired.
    clock.advance(Duration::from_secs(600));
    charge(&backend, &clock, &client, 1).await?;
    assert_eq!(length(&mut raw)?, 35 + 8 * 400);
    Ok(())
}

#[tokio::test]
async fn key_expires_with_its_last_charge() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let mut raw = server.raw()?;
    for charges in [1, 3, 200] {
        let client = Client::new("alice", SlidingWindowLog, "300/7h13m")?;
        let mut charged = Vec::new();
        for _ in 0..charges {
            charged.push(client.decide(&backend, 1).await?);
        }
        let [key] = raw.keys()?.try_into().map_err(|keys| format!("{keys:?}"))?;
        let mut until = || Result::Ok(raw.call(&["PEXPIRETIME", &key])?.integer());
        let expires = |micros: u64| i64::try_from(micros.div_ceil(1000)).ok();
        let period = client.rate.period_micros();
        while let Some(last) = charged.pop() {
            assert_eq!(until()?, expires(last.at.as_micros() + period), "{} of {charges}", charged.len());
            backend.adjust(&[Charge::new(client.hit(1), last.at).refund()]).await?;
        }
        assert_eq!(raw.keys()?, Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn refusal_and_peek_write_nothing() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let mut raw = server.raw()?;
    for rate in ["5/30d", "300/30d"] {
        let client = Client::new("alice", SlidingWindowLog, rate)?;
        for _ in 0..client.rate.limit() {
            assert!(client.decide(&backend, 1).await?.admitted);
        }
        backend.peek(&[client.hit(1)]).await?;
        let key = raw.keys()?.pop().ok_or("no key")?;
        let before = (raw.call(&["DUMP", &key])?, raw.call(&["PEXPIRETIME", &key])?);
        raw.call(&["CONFIG", "RESETSTAT"])?;
        assert!(!client.decide(&backend, 1).await?.admitted);
        assert!(!client.decide(&backend, 2).await?.admitted);
        assert!(!backend.peek(&[client.hit(1)]).await?.is_admitted());
        assert!(client.decide(&backend, 0).await?.admitted);
        let run: Vec<_> = raw.commands_run()?.into_iter().map(|(name, _)| name).collect();
        assert_eq!(run, ["evalsha", "getrange", "time"]);
        assert_eq!((raw.call(&["DUMP", &key])?, raw.call(&["PEXPIRETIME", &key])?), before);
        backend.clear().await?;
    }
    Ok(())
}

/// The server returns one page at the start and one at the end, however long the log is, and stores one charge.
#[tokio::test]
async fn charge_on_a_long_log_reads_and_writes_only_a_part() -> Result {
    let server = Server::start()?;
    let clock = ManualClock::at(START);
    let backend = builder(&server).connect().await?.by_hand(clock.clone());
    let client = Client::new("alice", SlidingWindowLog, "5000/30d")?;
    charge(&backend, &clock, &client, 1000).await?;
    let mut raw = server.raw()?;
    for _ in 0..3 {
        raw.call(&["CONFIG", "RESETSTAT"])?;
        charge(&backend, &clock, &client, 500).await?;
        let run = raw.commands_run()?;
        let of = |name: &str| run.iter().find(|(command, _)| command == name).map_or(0, |&(_, calls)| calls);
        assert_eq!((of("set"), of("setrange"), of("pexpireat")), (0, 1000, 500), "{run:?}");
        assert!(of("getrange") <= 1500, "{run:?}");
    }
    Ok(())
}

#[tokio::test]
async fn full_log_counts_every_charge() -> Result {
    let server = Server::start()?;
    let clock = ManualClock::at(START);
    let backend = builder(&server).connect().await?.by_hand(clock.clone());
    let client = Client::new("alice", SlidingWindowLog, "65536/30d")?;
    // In one charge, in two whose sums wrap around, and in many.
    for costs in [vec![65_536], vec![65_535, 1], vec![1, 65_535], vec![4096; 16], vec![512; 128]] {
        for (before, &cost) in costs.iter().enumerate() {
            clock.advance(Duration::from_secs(1));
            assert!(!client.decide(&backend, 65_537 - costs.iter().take(before).sum::<u64>()).await?.admitted);
            assert!(client.decide(&backend, cost).await?.admitted, "{before} of {costs:?}");
        }
        assert!(!client.decide(&backend, 1).await?.admitted);
        clock.advance(client.rate.period() - Duration::from_secs(u64::try_from(costs.len())? - 1));
        let first = costs.first().copied().unwrap_or_default();
        assert!(!client.decide(&backend, first + 1).await?.admitted);
        assert!(client.decide(&backend, first).await?.admitted);
        backend.clear().await?;
    }
    Ok(())
}

/// With a custom strategy in the decision the log is read and written in Rust, and afterwards in Lua again.
#[tokio::test]
async fn rust_and_lua_write_the_same_log() -> Result {
    let server = Server::start()?;
    let clock = ManualClock::at(START);
    let backend = builder(&server).connect().await?.by_hand(clock.clone());
    let (key, log, own, rate) = (
        Key::from("alice"),
        AnyStrategy::from(SlidingWindowLog),
        AnyStrategy::custom(Leases),
        Rate::literal("90/hour"),
    );
    let hit = |strategy| Hit::new(limit("limit", strategy), &key, rate, 1);
    let mut raw = server.raw()?;
    let mut stored = || raw.call(&["GET", "{test:redis|text=alice}|limit|sliding-window-log"]);
    for count in 1..=90 {
        clock.advance(Duration::from_secs(1));
        assert!(backend.decide(&[hit(&log), hit(&own)]).await?.is_admitted());
        let by_rust = stored()?;
        let charged_at = backend.decide(&[hit(&log)]).await?;
        if let Some(outcome) = charged_at.outcomes().first().filter(|outcome| outcome.admitted) {
            assert_ne!(stored()?, by_rust);
            backend.adjust(&[Charge::new(hit(&log), outcome.at).refund()]).await?;
        }
        let left = backend.peek(&[hit(&log)]).await?;
        let used =
            left.outcomes().first().and_then(|outcome| Some(outcome.past.as_ref()?.state.log()?.counts_at(outcome.at)));
        assert_eq!(used, Some(count), "{left:?}");
        if count < 64 {
            assert_eq!(stored()?, by_rust, "{count}");
        }
    }
    Ok(())
}
