//! Calls that arrive and whose answers are lost: whether they ran is unknown, and none is repeated.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};
use traffik::{backend::BackendError, strategy::FixedWindow};
use traffik_redis::RedisBackend;

use crate::{Client, PLENTY, Result, builder, link::Link, server::Server};

const DEADLINE: Duration = Duration::from_millis(100);

/// Slack for a busy machine.
const SLACK: Duration = Duration::from_millis(900);

const CALLERS: u64 = 32;

/// Charges once. Returns the total, or `None` after an error within the deadline.
async fn charge(backend: &RedisBackend) -> Result<Option<u64>> {
    let (everybody, asked) = (Client::new("everybody", FixedWindow, "1000000/30d")?, Instant::now());
    let answer = everybody.decide(backend, 1).await;
    assert!(asked.elapsed() < DEADLINE + SLACK, "{:?}", asked.elapsed());
    match answer {
        Ok(outcome) => Ok(Some(outcome.past.ok_or("nothing was charged")?.state.words()[1])),
        Err(BackendError::Timeout(_) | BackendError::NotRun(_) | BackendError::Unavailable(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the number of charges, counted by the server.
async fn count(server: &Server) -> Result<u64> {
    let backend = builder(server).command_timeout(PLENTY).connect().await?;
    let outcome = Client::new("everybody", FixedWindow, "1000000/30d")?.decide(&backend, 0).await?;
    Ok(outcome.past.map_or(0, |past| past.state.words()[1]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unanswered_charge_is_made_once_and_counted() -> Result {
    let server = Server::start()?;
    let link = Link::to(server.port()).await?;
    let backend = RedisBackend::builder(link.url()).namespace("test:redis").command_timeout(DEADLINE).connect().await?;
    let (mut heard, mut calls) = (BTreeSet::new(), 0);
    while heard.len() < 10 {
        heard.extend(charge(&backend).await?);
        calls += 1;
    }

    link.lose_answers();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let backend = backend.clone();
        callers.spawn(async move {
            for _ in 0..5 {
                assert_eq!(charge(&backend).await?, None);
            }
            Result::Ok(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    calls += 5 * CALLERS;

    link.mend();
    let mended = Instant::now();
    while heard.len() < 20 {
        assert!(mended.elapsed() < PLENTY, "the backend did not reconnect");
        heard.extend(charge(&backend).await?);
        calls += 1;
        sleep(Duration::from_millis(5)).await;
    }

    // Each answered charge has a distinct number. Only unanswered ones are missing.
    let (answered, executed) = (20, count(&server).await?);
    let unheard = executed.checked_sub(answered).ok_or("more charges were answered than made")?;
    assert!(unheard > 0 && executed <= calls, "{executed} of {calls}");
    let stats = backend.stats();
    assert!(stats.in_doubt > 0 && stats.late + stats.in_doubt >= unheard, "{unheard} unheard: {stats:?}");
    Ok(())
}
