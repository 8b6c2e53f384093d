//! The errors and delays that callers see when the server fails.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use tests::{each_strategy, limit, refunds};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use traffik::{
    backend::{Backend, BackendError},
    decision::{Adjustment, Charge, Hit, LimitStatus},
    strategy::{AnyStrategy, FixedWindow, SlidingWindowLog},
};
use traffik_redis::RedisBackend;

use crate::{Client, PLENTY, Result, builder, log::Log, own::Leases, raw::Reply, server::Server};

const DEADLINE: Duration = Duration::from_millis(200);

/// Slack for a busy machine, added to a deadline.
const SLACK: Duration = Duration::from_millis(800);

fn client() -> Result<Client> {
    Client::new("alice", FixedWindow, "5/30d")
}

/// Returns the error of a single adjustment: that of the call or its own.
async fn adjustment_error(backend: &RedisBackend, adjustment: Adjustment<'_>) -> Result<String> {
    match backend.adjust(&[adjustment]).await {
        Ok(adjusted) => {
            Ok(adjusted.into_iter().find_map(std::result::Result::err).ok_or("it was adjusted")?.to_string())
        }
        Err(error) => Ok(error.to_string()),
    }
}

#[tokio::test]
async fn flushed_programs_are_loaded_again() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    for strategy in [FixedWindow.into(), SlidingWindowLog.into(), AnyStrategy::custom(Leases)] {
        let client = Client::new("alice", strategy, "5/30d")?;
        for left in (0..5).rev() {
            server.raw()?.call(&["SCRIPT", "FLUSH"])?;
            let outcome = client.decide(&backend, 1).await?;
            assert_eq!(LimitStatus::new(&client.strategy, client.rate, &outcome).remaining(), left);
        }
    }
    Ok(())
}

#[tokio::test]
async fn killed_server_is_an_error_within_the_deadline_and_is_reconnected() -> Result {
    let mut server = Server::start()?;
    let backend = builder(&server).command_timeout(DEADLINE).connect().await?;
    assert!(client()?.decide(&backend, 1).await?.admitted);

    server.kill()?;
    for _ in 0..5 {
        let asked = Instant::now();
        let error = client()?.decide(&backend, 1).await.err().ok_or("a dead server answered")?;
        let is_told =
            matches!(error, BackendError::Timeout(_) | BackendError::NotRun(_) | BackendError::Unavailable(_));
        assert!(is_told, "{error}");
        assert!(asked.elapsed() < DEADLINE + SLACK, "{:?}", asked.elapsed());
    }

    server.start_again()?;
    let back = Instant::now();
    while client()?.decide(&backend, 1).await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(10), "the backend did not reconnect");
        sleep(Duration::from_millis(10)).await;
    }
    // The server restarted empty and had to load the programs again. Charges of unanswered calls still count.
    let mut admitted = 1;
    while client()?.decide(&backend, 1).await?.admitted {
        admitted += 1;
    }
    assert!((2..=5).contains(&admitted), "{admitted}");
    Ok(())
}

#[tokio::test]
async fn hanging_server_is_a_timeout_and_late_calls_are_counted() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).command_timeout(DEADLINE).connect().await?;
    server.raw()?.call(&["CLIENT", "PAUSE", "1000", "ALL"])?;
    let asked = Instant::now();
    let error = client()?.decide(&backend, 1).await.err().ok_or("a server that sleeps answered")?;
    assert!(matches!(error, BackendError::Timeout(DEADLINE)), "{error}");
    assert!(asked.elapsed() < DEADLINE + SLACK, "{:?}", asked.elapsed());

    // A call that timed out may run later. It is charged then, so the limit does not open.
    while client()?.decide(&backend, 5).await.is_ok_and(|outcome| outcome.admitted)
        || asked.elapsed() < Duration::from_secs(2)
    {
        sleep(Duration::from_millis(10)).await;
    }
    let after = client()?.decide(&backend, 0).await?;
    assert!(after.past.is_some_and(|past| (1..=5).contains(&past.state.words()[1])));
    Ok(())
}

#[tokio::test]
async fn connecting_without_a_server_is_an_error() -> Result {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let connecting = RedisBackend::builder(format!("redis://:hunter2@127.0.0.1:{port}")).namespace("test").connect();
    let error = timeout(Duration::from_secs(20), connecting).await?.err().ok_or("nothing answered")?.to_string();
    assert!(error.contains("no connection to Redis") && !error.contains("hunter2"), "{error}");
    Ok(())
}

/// A failed connection leaves no background attempts.
#[tokio::test]
async fn failed_connection_is_not_retried_in_the_background() -> Result {
    let attempts = |listener: &TcpListener| std::iter::from_fn(|| listener.accept().ok()).count();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let connect = || RedisBackend::builder(format!("redis://{address}")).namespace("test").connect();

    // The listener accepts the connection and never answers.
    assert!(connect().await.is_err());
    assert!(attempts(&listener) > 0);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(attempts(&listener), 0, "the backend still connects after its failure");

    // No server is listening.
    drop(listener);
    assert!(connect().await.is_err());
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(attempts(&listener), 0, "the backend still connects after its failure");
    Ok(())
}

#[tokio::test]
async fn decision_after_close_is_an_error() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    assert!(client()?.decide(&backend, 1).await?.admitted);
    backend.close().await?;
    backend.clone().close().await?;
    assert!(matches!(client()?.decide(&backend, 1).await, Err(BackendError::Closed)));
    assert!(matches!(backend.clear().await, Err(BackendError::Closed)));
    assert_eq!(server.raw()?.keys()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn dropped_backend_closes_its_connection() -> Result {
    let server = Server::start()?;
    let mut raw = server.raw()?;
    let mut connections = || Result::Ok(raw.call(&["CLIENT", "LIST"])?.text().lines().count());
    let before = connections()?;
    let backend = builder(&server).connect().await?;
    client()?.decide(&backend, 1).await?;
    assert_eq!(connections()?, before + 1);

    drop(backend);
    let dropped = Instant::now();
    while connections()? > before {
        assert!(dropped.elapsed() < Duration::from_secs(5), "the connection stays open");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[tokio::test]
async fn state_of_a_later_version_is_an_error_and_is_kept() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    for strategy in [FixedWindow.into(), SlidingWindowLog.into(), AnyStrategy::custom(Leases)] {
        let client = Client::new("alice", strategy, "5/30d")?;
        let charged_at = client.decide(&backend, 1).await?.at;
        let key = server.raw()?.keys()?.pop().ok_or("no key")?;
        server.raw()?.call(&["SET", &key, "\u{7f}what a later version stores"])?;
        let error = client.decide(&backend, 1).await.err().ok_or("it was read")?.to_string();
        assert!(error.contains("version 127") && error.contains(&key), "{error}");
        let error = adjustment_error(&backend, Charge::new(client.hit(1), charged_at).refund()).await?;
        assert!(error.contains("version 127") && error.contains(&key), "{error}");
        assert!(server.raw()?.call(&["GET", &key])?.text().contains("later version"));
        backend.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn empty_string_under_a_key_is_an_error_that_names_the_key() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    for strategy in [FixedWindow.into(), SlidingWindowLog.into(), AnyStrategy::custom(Leases)] {
        let client = Client::new("alice", strategy, "5/30d")?;
        client.decide(&backend, 1).await?;
        let key = server.raw()?.keys()?.pop().ok_or("no key")?;
        server.raw()?.call(&["SET", &key, ""])?;
        let error = client.decide(&backend, 1).await.err().ok_or("it was read")?.to_string();
        assert!(error.contains(&format!("the key {key} holds an empty string")), "{error}");
        backend.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn value_that_is_no_state_is_an_error_that_names_the_key() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    for strategy in each_strategy(5).into_iter().chain([AnyStrategy::custom(Leases)]) {
        let client = Client::new("alice", strategy, "5/30d")?;
        let charged_at = client.decide(&backend, 1).await?.at;
        let mut raw = server.raw()?;
        let key = raw.keys()?.pop().ok_or("no key")?;
        let Reply::Bytes(state) = raw.call(&["GET", &key])? else { return Err("no state".into()) };
        for length in [None, Some(1), Some(state.len() / 2), Some(state.len() - 1)] {
            raw.call(&["DEL", &key])?;
            match length.and_then(|length| state.get(..length)) {
                Some(cut_off) => raw.call(&[b"SET", key.as_bytes(), cut_off])?,
                None => raw.call(&["RPUSH", &key, "a list"])?,
            };
            let settlement = Charge::new(client.hit(1), charged_at).settle(0);
            let errors = [
                client.decide(&backend, 1).await.err().ok_or("it was read")?.to_string(),
                backend.peek(&[client.hit(1)]).await.err().ok_or("it was read")?.to_string(),
                adjustment_error(&backend, settlement).await?,
            ];
            for error in errors {
                assert!(error.contains(&format!("the key {key} holds ")), "{length:?}: {error}");
                assert!(error.contains("delete the key") || error.contains("reset the limit"), "{error}");
            }
        }
        backend.reset(&[client.hit(1)]).await?;
        assert!(client.decide(&backend, 1).await?.admitted, "a reset repairs it");
        backend.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_server_is_logged_as_the_loss_of_a_working_connection() -> Result {
    let mut server = Server::start()?;
    let (log, _guard) = Log::begin();
    let backend = builder(&server).connect().await?;
    client()?.decide(&backend, 1).await?;
    let port = server.port();
    server.kill()?;
    let killed = Instant::now();
    while !log.text().contains("no server listens") {
        assert!(killed.elapsed() < PLENTY, "{}", log.text());
        let _ = client()?.decide(&backend, 1).await;
        sleep(Duration::from_millis(5)).await;
    }
    let log = log.text();
    assert!(log.contains(&format!("127.0.0.1:{port}: a working connection was lost")), "{log}");
    assert!(!log.contains("check that a Redis server"), "{log}");
    Ok(())
}

/// Callers that wait on a hanging server do not delay its close.
#[tokio::test]
async fn close_does_not_wait_for_a_hanging_server() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).command_timeout(PLENTY).connect().await?;
    let mut raw = server.raw()?;
    raw.call(&["CLIENT", "PAUSE", "5000", "ALL"])?;
    let mut all = JoinSet::new();
    for _ in 0..200 {
        let backend = backend.clone();
        all.spawn(async move {
            backend.peek(&[client()?.hit(1)]).await.map_err(Box::<dyn std::error::Error + Send + Sync>::from)
        });
    }
    sleep(Duration::from_millis(100)).await;
    let asked = Instant::now();
    backend.close().await?;
    while let Some(answered) = all.join_next().await {
        assert!(answered?.is_err());
    }
    assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    Ok(())
}

#[tokio::test]
async fn refund_of_several_charges_fails_only_for_the_entry_that_cannot_be_read() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    for strategy in [AnyStrategy::from(FixedWindow), SlidingWindowLog.into()] {
        let client = Client::new("alice", strategy, "5/30d")?;
        let hits = [
            Hit::new(limit("one", &client.strategy), &client.key, client.rate, 2),
            Hit::new(limit("two", &client.strategy), &client.key, client.rate, 2),
        ];
        let decision = backend.decide(&hits).await?;
        let charges: Vec<_> =
            hits.iter().zip(decision.outcomes()).map(|(hit, outcome)| Charge::new(*hit, outcome.at)).collect();
        let mut keys = server.raw()?.keys()?;
        keys.sort_unstable();
        let [one, two] = &keys[..] else { return Err(format!("{keys:?}").into()) };
        server.raw()?.call(&["SET", two, "\u{7f}what a later version stores"])?;
        let refunded = backend.adjust(&refunds(&charges)).await?;
        let [Ok(refunded), Err(error)] = &refunded[..] else { return Err(format!("{refunded:?}").into()) };
        assert_eq!(LimitStatus::new(&client.strategy, client.rate, refunded).remaining(), 5);
        assert!(error.to_string().contains(two) && !error.to_string().contains(one), "{error}");
        assert!(server.raw()?.call(&["GET", two])?.text().contains("later version"));

        // Several charges of one entry add up.
        let charged_at = backend.decide(&[hits[0]]).await?.outcomes().first().ok_or("no outcome")?.at;
        backend.adjust(&[Charge::new(hits[0].costing(1), charged_at).refund(); 2]).await?;
        assert!(backend.decide(&[hits[0].costing(5)]).await?.is_admitted());
        backend.clear().await?;
    }
    Ok(())
}
