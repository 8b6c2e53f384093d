//! Retries, within the deadline, of calls that certainly did not run.

use std::time::Duration;

use tests::until_idle;
use traffik::{
    CheckError, Error,
    backend::{BackendError, MemoryBackend},
    breaker::CircuitBreaker,
    on_error::{Backoff, Failover, Retry},
};

use super::{
    Five,
    backends::{Mood, advance, app},
};

const MS: Duration = Duration::from_millis(1);

fn retry(times: u32, pause: Duration) -> Retry {
    Retry::times(times).backoff(Backoff::Constant(pause)).without_jitter()
}

#[tokio::test]
async fn call_that_did_not_run_is_retried_after_each_pause() {
    let (traffik, backend, clock) = app(|builder, _| builder.on_error(retry(2, 10 * MS)));
    backend.is(Mood::IsAway);
    let call = tokio::spawn(async move { traffik.limiter::<Five>("alice").check().await.map(drop) });
    advance(&clock, 9 * MS).await;
    assert_eq!(backend.asked(), 1);
    advance(&clock, MS).await;
    assert_eq!(backend.asked(), 2);
    advance(&clock, 10 * MS).await;
    let answer = call.await.unwrap();
    assert!(matches!(answer, Err(CheckError::Failed(Error::Backend(BackendError::NotRun(_))))), "{answer:?}");
    assert_eq!(backend.asked(), 3);
}

#[tokio::test]
async fn retried_request_is_charged_once() {
    let (traffik, backend, clock) = app(|builder, _| builder.on_error(retry(2, 10 * MS)));
    backend.is(Mood::IsAway);
    let call = tokio::spawn(async move { traffik.limiter::<Five>("alice").check().await });
    until_idle().await;
    backend.is(Mood::Answers);
    advance(&clock, 10 * MS).await;
    let permit = call.await.unwrap().unwrap();
    assert!(!permit.is_from_fallback());
    assert_eq!((permit.tightest().remaining().units(), backend.asked()), (Some(4), 2));
}

#[tokio::test]
async fn call_that_may_have_run_is_not_retried() {
    for mood in [Mood::Fails, Mood::Hangs, Mood::ChargesAndHangs] {
        let (traffik, backend, clock) = app(|builder, _| builder.on_error(retry(5, MS)));
        backend.is(mood);
        let call = tokio::spawn(async move { traffik.limiter::<Five>("alice").check().await.map(drop) });
        advance(&clock, 100 * MS).await;
        assert!(call.await.unwrap().is_err());
        assert_eq!(backend.asked(), 1, "{mood:?}");
    }
}

#[tokio::test]
async fn pause_beyond_the_deadline_is_skipped() {
    let (traffik, backend, clock) = app(|builder, _| builder.on_error(retry(9, 60 * MS)));
    backend.is(Mood::IsAway);
    let call = tokio::spawn(async move { traffik.limiter::<Five>("alice").check().await.map(drop) });
    advance(&clock, 60 * MS).await;
    assert!(call.is_finished());
    assert!(matches!(call.await.unwrap(), Err(CheckError::Failed(Error::Backend(BackendError::NotRun(_))))));
    assert_eq!(backend.asked(), 2);
}

#[tokio::test]
async fn retries_and_pauses_end_at_the_timeout() {
    let (traffik, backend, clock) = app(|builder, _| builder.backend_timeout(50 * MS).on_error(retry(1, 20 * MS)));
    backend.is(Mood::IsAway);
    let call = tokio::spawn(async move { traffik.limiter::<Five>("alice").check().await.map(drop) });
    until_idle().await;
    backend.is(Mood::Hangs);
    advance(&clock, 20 * MS).await;
    assert_eq!(backend.asked(), 2);
    advance(&clock, 29 * MS).await;
    assert!(!call.is_finished());
    advance(&clock, MS).await;
    assert!(matches!(call.await.unwrap(), Err(CheckError::Failed(Error::Backend(BackendError::Timeout(_))))));
}

#[tokio::test]
async fn breaker_counts_a_retried_request_once() {
    let breaker = CircuitBreaker::builder().failure_threshold(2).build().unwrap();
    let (traffik, backend, clock) = app(|builder, _| {
        let failover = Failover::to(MemoryBackend::new("fallback")).breaker(breaker.clone());
        builder.on_error(failover.retry(retry(3, MS)))
    });
    backend.is(Mood::IsAway);
    let call =
        tokio::spawn(
            async move { traffik.limiter::<Five>("alice").check().await.map(|permit| permit.is_from_fallback()) },
        );
    for _ in 0..3 {
        advance(&clock, MS).await;
    }
    assert!(call.await.unwrap().unwrap());
    assert_eq!((backend.asked(), breaker.status().failures), (4, 1));
}
