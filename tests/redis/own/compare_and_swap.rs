//! The calls of a decision by a custom strategy, their writes, and retries after a concurrent change.

use std::{sync::atomic::Ordering, time::Duration};

use tests::limit;
use traffik::{
    Rate,
    backend::{Backend, BackendError},
    client::Key,
    clock::Timestamp,
    decision::{Charge, Hit, LimitStatus},
    strategy::{AnyStrategy, FixedWindow, Gcra, Strategy},
    test::ManualClock,
};

use super::{interference::Meddler, strategies};
use crate::{Client, Result, builder, server::Server};

fn run(commands: &[(&str, u64)]) -> Vec<(String, u64)> {
    commands.iter().map(|&(name, calls)| (name.to_owned(), calls)).collect()
}

#[tokio::test]
async fn admission_is_two_calls_and_refusal_is_one_without_a_write() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let mut raw = server.raw()?;
    for strategy in strategies() {
        let client = Client::new("alice", strategy, "5/30d")?;
        assert!(client.decide(&backend, 3).await?.admitted);
        raw.call(&["CONFIG", "RESETSTAT"])?;
        assert!(client.decide(&backend, 2).await?.admitted);
        assert_eq!(raw.commands_run()?, run(&[("evalsha", 2), ("get", 2), ("set", 1), ("time", 2)]));

        let key = raw.keys()?.pop().ok_or("no key")?;
        let before = (raw.call(&["DUMP", &key])?, raw.call(&["PEXPIRETIME", &key])?);
        assert!(!client.decide(&backend, 1).await?.admitted);
        assert!(!backend.peek(&[client.hit(1)]).await?.is_admitted());
        assert!(client.decide(&backend, 0).await?.admitted);
        assert_eq!((raw.call(&["DUMP", &key])?, raw.call(&["PEXPIRETIME", &key])?), before);
        backend.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn key_expires_with_its_state() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let mut raw = server.raw()?;
    for strategy in strategies() {
        let client = Client::new("alice", strategy, "5/7h13m")?;
        let charged = client.decide(&backend, 2).await?;
        let expires = charged.past.as_ref().map(|past| past.state.expires().as_micros()).ok_or("nothing stored")?;
        let [key] = raw.keys()?.try_into().map_err(|keys| format!("{keys:?}"))?;
        assert_eq!(raw.call(&["PEXPIRETIME", &key])?.integer(), i64::try_from(expires.div_ceil(1000)).ok());

        backend.adjust(&[Charge::new(client.hit(1), charged.at).refund()]).await?;
        assert!(raw.call(&["PEXPIRETIME", &key])?.integer().is_none_or(|until| until > 0));
        backend.reset(&[client.hit(1)]).await?;
        assert_eq!(raw.keys()?, Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn concurrent_charge_is_included_in_the_decision() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let meddler = Meddler::new(&server, 7);
    let client = Client::new("alice", AnyStrategy::custom(meddler.clone()), "5/min")?;
    let outcome = client.decide(&backend, 3).await?;
    assert!(outcome.admitted);
    assert_eq!(meddler.times.load(Ordering::SeqCst), 0);
    // The last concurrent charge, and these three.
    assert_eq!(outcome.past.map(|past| past.state.words()[0]), Some(3 + 1));
    Ok(())
}

#[tokio::test]
async fn endless_concurrent_changes_end_in_an_error_without_a_charge() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let client = Client::new("alice", AnyStrategy::custom(Meddler::new(&server, 1_000_000)), "5/min")?;
    let error = client.decide(&backend, 3).await.err().ok_or("it was charged")?;
    assert!(matches!(error, BackendError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("nothing was charged"), "{error}");
    let left = backend.peek(&[client.hit(5)]).await?;
    assert!(left.outcomes().iter().all(|outcome| outcome.past.as_ref().is_some_and(|past| past.state.words()[0] < 2)));
    Ok(())
}

#[tokio::test]
async fn attempts_of_a_decision_end_at_the_deadline_of_a_call() -> Result {
    let server = Server::start()?;
    let deadline = Duration::from_millis(100);
    let backend = builder(&server).command_timeout(deadline).connect().await?;
    server.raw()?.call(&["CLIENT", "PAUSE", "3000", "ALL"])?;
    let asked = std::time::Instant::now();
    let mut waiting = tokio::task::JoinSet::new();
    for strategy in strategies().into_iter().chain(strategies()) {
        let (backend, client) = (backend.clone(), Client::new("alice", strategy, "5/min")?);
        waiting.spawn(async move { client.decide(&backend, 1).await });
    }
    while let Some(answer) = waiting.join_next().await {
        // Decisions that waited for their turn were not sent.
        assert!(matches!(answer?, Err(BackendError::Timeout(_) | BackendError::NotRun(_))));
    }
    assert!(asked.elapsed() < Duration::from_millis(1000), "{:?}", asked.elapsed());
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
        assert!(client.decide(&backend, 5).await?.admitted);
        clock.set(Timestamp::from_micros(1_750_000_000_000_000));
        let refused = client.decide(&backend, 1).await?;
        assert!(!refused.admitted);
        let expires = refused.past.as_ref().map(|past| past.state.expires()).ok_or("nothing stored")?;
        clock.set(expires);
        assert!(client.decide(&backend, strategy.capacity(client.rate)).await?.admitted, "{strategy:?}");
        backend.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn custom_strategy_in_a_tuple_is_charged_with_all_or_none() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let (key, rate) = (Key::from("alice"), Rate::literal("5/30d"));
    let mut all = strategies();
    all.insert(1, FixedWindow.into());
    all.push(Gcra::new().burst(5).into());
    let hits: Vec<_> = all.iter().map(|strategy| Hit::new(limit("limit", strategy), &key, rate, 2)).collect();
    assert!(backend.decide(&hits).await?.is_admitted());
    for dear in 0..hits.len() {
        let mut hits = hits.clone();
        hits[dear] = hits[dear].costing(4);
        let decision = backend.decide(&hits).await?;
        let admitted: Vec<_> = decision.outcomes().iter().map(|outcome| outcome.admitted).collect();
        assert_eq!(admitted, (0..hits.len()).map(|place| place != dear).collect::<Vec<_>>());
        // Strategies with a Lua program give the same answers alone, decided in Lua.
        for hit in &hits {
            let outcome = backend.peek(&[*hit]).await?.outcomes()[0].clone();
            assert_eq!(LimitStatus::new(hit.limit.strategy(), rate, &outcome).remaining(), 3, "{hit:?}");
        }
    }
    Ok(())
}
