//! The stored keys: their content, their lifetime, and the commands that they take.

use std::time::Duration;

use tests::{each_strategy_without_log, limit};
use traffik::{
    Rate,
    backend::{Backend, BackendError},
    client::Key,
    clock::Timestamp,
    decision::{Charge, Hit},
    strategy::{AnyStrategy, FixedWindow, Gcra, SlidingWindowCounter, SlidingWindowLog, Strategy},
    test::ManualClock,
};

use crate::{Client, Result, builder, raw::Reply, server::Server};

/// Returns each strategy without a log at 5 requests a period.
fn strategies() -> Vec<AnyStrategy> {
    each_strategy_without_log(Rate::literal("5/min"))
}

#[tokio::test]
async fn key_expires_exactly_with_its_state() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let mut raw = server.raw()?;
    for strategy in strategies() {
        for rate in ["5/s", "5/7h13m", "5/50d", "5/1234567us"] {
            let client = Client::new("alice", strategy.clone(), rate)?;
            let charged = client.decide(&backend, 2).await?;
            let expires = charged.past.as_ref().map(|past| past.state.expires().as_micros()).ok_or("nothing stored")?;
            let [key] = raw.keys()?.try_into().map_err(|keys| format!("{keys:?}"))?;
            let until = raw.call(&["PEXPIRETIME", &key])?.integer();
            assert_eq!(until, i64::try_from(expires.div_ceil(1000)).ok(), "{strategy:?} at {rate}");
            assert_eq!(raw.call(&["STRLEN", &key])?.integer(), Some(34));

            // A refund does not extend the key either.
            backend.adjust(&[Charge::new(client.hit(1), charged.at).refund()]).await?;
            if let Some(until) = raw.call(&["PEXPIRETIME", &key])?.integer() {
                assert!(
                    until > 0 && until <= i64::try_from(expires.div_ceil(1000))?,
                    "{strategy:?} at {rate}: {until}"
                );
            }
            backend.reset(&[client.hit(1)]).await?;
            assert_eq!(raw.keys()?, Vec::<String>::new());
        }
    }
    Ok(())
}

#[tokio::test]
async fn refusal_and_peek_write_nothing() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let mut raw = server.raw()?;
    for strategy in strategies() {
        let client = Client::new("alice", strategy, "5/30d")?;
        assert!(client.decide(&backend, 5).await?.admitted);
        backend.peek(&[client.hit(1)]).await?;
        let key = raw.keys()?.pop().ok_or("no key")?;
        let before = (raw.call(&["DUMP", &key])?, raw.call(&["PEXPIRETIME", &key])?);

        raw.call(&["CONFIG", "RESETSTAT"])?;
        assert!(!client.decide(&backend, 1).await?.admitted);
        assert!(!backend.peek(&[client.hit(1)]).await?.is_admitted());
        // A free hit is always admitted and writes nothing.
        assert!(client.decide(&backend, 0).await?.admitted);
        let only_reads = [("evalsha", 3), ("get", 3), ("time", 3)].map(|(name, calls)| (name.to_owned(), calls));
        assert_eq!(raw.commands_run()?, only_reads);
        assert_eq!((raw.call(&["DUMP", &key])?, raw.call(&["PEXPIRETIME", &key])?), before);
        backend.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn decision_about_any_number_of_limits_is_one_command() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let (key, strategies, rate) = (Key::from("alice"), strategies(), Rate::literal("5/30d"));
    let hits: Vec<_> = strategies.iter().map(|strategy| Hit::new(limit("limit", strategy), &key, rate, 1)).collect();
    backend.decide(&hits).await?;

    let mut raw = server.raw()?;
    raw.call(&["CONFIG", "RESETSTAT"])?;
    assert!(backend.decide(&hits).await?.is_admitted());
    // A state with the same expiry as the previous one overwrites it and keeps the TTL.
    let run = raw.commands_run()?;
    let calls =
        |names: &[&str]| run.iter().filter(|(name, _)| names.contains(&&name[..])).map(|(_, calls)| calls).sum();
    let (reads, writes): (u64, u64) = (calls(&["get"]), calls(&["set", "setrange"]));
    assert_eq!([reads, writes], [hits.len() as u64; 2], "{run:?}");
    assert_eq!(calls(&["evalsha", "time"]), 2, "{run:?}");
    assert_eq!(run.len(), 5, "{run:?}");
    Ok(())
}

#[tokio::test]
async fn unlimited_hits_make_no_call() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let mut unlimited = Client::new("alice", FixedWindow, "5/30d")?;
    unlimited.rate = Rate::UNLIMITED;
    server.raw()?.call(&["CONFIG", "RESETSTAT"])?;
    assert!(unlimited.decide(&backend, 1000).await?.admitted);
    assert_eq!(server.raw()?.commands_run()?, []);

    let limited = Client::new("alice", FixedWindow, "5/30d")?;
    let decision = backend.decide(&[unlimited.hit(1), limited.hit(6), unlimited.hit(1)]).await?;
    let admitted: Vec<_> = decision.outcomes().iter().map(|outcome| outcome.admitted).collect();
    assert_eq!(admitted, [true, false, true]);
    assert_eq!(server.raw()?.keys()?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn refusal_after_the_clock_went_back_writes_the_state() -> Result {
    let server = Server::start()?;
    let clock = ManualClock::at(Timestamp::from_micros(1_760_000_000_000_000));
    let backend = builder(&server).connect().await?.by_hand(clock.clone());
    for strategy in strategies() {
        clock.set(Timestamp::from_micros(1_760_000_000_000_000));
        let client = Client::new("alice", strategy.clone(), "5/min")?;
        let charged = client.decide(&backend, 5).await?;
        let day = 86_400_000_000;
        clock.set(Timestamp::from_micros(charged.at.as_micros() - day));
        let refused = client.decide(&backend, 1).await?;
        let wait = |past: Option<&traffik::strategy::StoredState>| past.map(|past| past.state.expires());
        assert!(!refused.admitted && wait(refused.past.as_ref()) <= wait(charged.past.as_ref()), "{strategy:?}");
        // The state is written, so that later callers wait no longer than that.
        let expires = refused.past.as_ref().map(|past| past.state.expires()).ok_or("nothing stored")?;
        clock.set(expires);
        assert!(client.decide(&backend, strategy.capacity(client.rate)).await?.admitted, "{strategy:?}");
        backend.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn clear_deletes_only_its_own_namespace() -> Result {
    let server = Server::start()?;
    let named = |namespace: &str| builder(&server).namespace(namespace).connect();
    let (star, one, two) = (named("app*").await?, named("app1").await?, named("app").await?);
    let mut raw = server.raw()?;
    raw.call(&["SET", "other:key", "1"])?;
    for backend in [&star, &one, &two] {
        for client in 0..30 {
            let (key, strategy) = (Key::from(client), AnyStrategy::default());
            let rate = Rate::literal("5/30d");
            backend.decide(&[Hit::new(limit("limit", &strategy), &key, rate, 1)]).await?;
        }
    }
    star.clear().await?;
    assert_eq!(raw.keys()?.len(), 61);
    two.clear().await?;
    assert_eq!(raw.keys()?.len(), 31);
    one.clear().await?;
    assert_eq!(raw.keys()?, ["other:key"]);
    Ok(())
}

#[tokio::test]
async fn secret_is_sent_as_a_digest_only() -> Result {
    let server = Server::start()?;
    let mut client = Client::new("", FixedWindow, "5/30d")?;
    client.key = Key::secret("sk_live_hunter2");

    let without = builder(&server).connect().await?;
    let error = client.decide(&without, 1).await.err().ok_or("it was sent")?;
    // No failure of the store, so a circuit breaker stays closed.
    assert!(matches!(error, BackendError::Misconfigured(_)) && error.to_string().contains(".secret("), "{error}");
    assert_eq!(server.raw()?.keys()?, Vec::<String>::new());

    let with = builder(&server).secret(*b"a long random text").connect().await?;
    assert!(client.decide(&with, 1).await?.admitted);
    let [key] = server.raw()?.keys()?.try_into().map_err(|keys| format!("{keys:?}"))?;
    assert!(key.contains("secret=") && !key.contains("hunter2"), "{key}");
    assert!(matches!(server.raw()?.call(&["GET", &key])?, Reply::Bytes(bytes) if bytes.len() == 34));
    Ok(())
}

#[tokio::test]
async fn expired_state_is_deleted() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let client = Client::new("alice", Gcra::new(), "1000/s")?;
    client.decide(&backend, 1).await?;
    for _ in 0..1000 {
        if server.raw()?.keys()?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err("a key outlives its state".into())
}

/// Names are escaped, not joined, so these clients have separate entries.
#[tokio::test]
async fn clients_with_any_names_have_separate_entries() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let names = ["", "a", "a:b", "b", ":", "/", "a/b", "{", "}", "{a}", "\\", "%", "%3A", "\0", "\n", "*", "1", "é"];
    let mut keys: Vec<_> = names.into_iter().map(Key::from).collect();
    for one in names {
        keys.extend(names.into_iter().map(|other| Key::from((one, other))));
        keys.extend(names.into_iter().map(|other| Key::from((one, other, one))));
        keys.push(Key::from((one, 1)));
    }
    keys.push(1.into());
    let (strategy, rate) = (AnyStrategy::default(), Rate::literal("1/50d"));
    for key in &keys {
        let hit = Hit::new(limit("search", &strategy), key, rate, 1);
        assert!(backend.decide(&[hit]).await?.is_admitted(), "{key:?}");
    }
    assert_eq!(server.raw()?.keys()?.len(), keys.len());
    Ok(())
}

/// Each number in the given number of bytes, the lowest first.
fn packed(numbers: &[(u64, usize)]) -> Vec<u8> {
    numbers.iter().flat_map(|&(number, width)| number.to_le_bytes().into_iter().take(width)).collect()
}

/// Releases that cannot settle read what stands above a limit, as any other state.
#[tokio::test]
async fn overdrawn_states_are_stored_in_the_form_of_all_others() -> Result {
    let server = Server::start()?;
    let (minute, century) = (60_000_000, 36_500 * 86_400_000_000);
    let now = 29_333_333 * minute + 10;
    let start = now - 10;
    let backend = builder(&server).connect().await?.by_hand(ManualClock::at(Timestamp::from_micros(now)));
    let mut raw = server.raw()?;
    let state = |expires, first, second, limit, period| {
        packed(&[(1, 1), (expires, 7), (first, 7), (second, 7), (limit, 6), (period, 6)])
    };
    let log = packed(&[(3, 1), (now + minute, 7), (now, 7), (5, 6), (minute, 6), (0, 3), (1, 3), (0, 2)]);
    let entry = packed(&[((now + minute) % (1 << 48), 6), (65_536 % (1 << 16), 2)]);
    for (strategy, rate, actual, stored) in [
        (AnyStrategy::from(FixedWindow), "5/min", 1 << 47, state(start + minute, start, 1 << 47, 5, minute)),
        (SlidingWindowCounter.into(), "5/min", 1 << 47, state(start + 2 * minute, 0, 1 << 47, 5, minute)),
        (Gcra::new().into(), "1/day", 36_500, state(now + century, 0, now, 1, 86_400_000_000)),
        (SlidingWindowLog.into(), "5/min", 65_536, [log, entry].concat()),
    ] {
        let client = Client::new("alice", strategy, rate)?;
        let charged_at = client.decide(&backend, 1).await?.at;
        let adjusted = backend.adjust(&[Charge::new(client.hit(1), charged_at).settle(actual)]).await?;
        assert!(matches!(adjusted.as_slice(), [Ok(_)]), "{adjusted:?}");
        let [key] = raw.keys()?.try_into().map_err(|keys| format!("{keys:?}"))?;
        assert_eq!(raw.call(&["GET", &key])?, Reply::Bytes(stored.clone()), "{:?}", client.strategy);

        // It says the same to a process that finds it.
        let before = backend.peek(&[client.hit(1)]).await?;
        backend.reset(&[client.hit(1)]).await?;
        raw.call(&[b"SET", key.as_bytes(), &stored, b"EX", b"3600"])?;
        let found = backend.peek(&[client.hit(1)]).await?;
        assert!(!found.is_admitted());
        assert_eq!(found.outcomes(), before.outcomes());
        backend.reset(&[client.hit(1)]).await?;
    }
    Ok(())
}
