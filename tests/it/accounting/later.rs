//! Settlements in a backend that waits: the task of the store makes them.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use axum::{RequestPartsExt, Router, extract::Request, routing::get};
use tests::until_idle;
use traffik::{
    AdjustError, Amount, Concurrency, Settings, Settlement, ThrottleRejection, Throttled, Traffik,
    backend::BackendError, client::Key, refund_if, test::ManualClock,
};

use super::{Result, remaining};
use crate::{
    gated::{Gated, until},
    http::{
        app::{HERE, throttle},
        logs::{Log, on_a_thread_of_its_own},
        server::Server,
    },
};

throttle!(Tokens, "later:tokens", "1000000/min");
throttle!(Requests, "later:requests", "1000000/min");
throttle!(Answers, "later:answers", "1000000/min", Settings::new().cost(1000));
throttle!(Once, "later:once", "1/min");
throttle!(Held, "later:held", "5/30s", Settings::new().strategy(Concurrency));
throttle!(Free, "later:free", "1000000/min", Settings::new().refund_if(refund_if::success));

/// Returns an app and its backend, whose clock stands still.
fn app() -> Result<(Traffik, Gated)> {
    let (traffik, backend, _) = app_with_clock()?;
    Ok((traffik, backend))
}

fn app_with_clock() -> Result<(Traffik, Gated, ManualClock)> {
    let clock = ManualClock::new();
    let backend = Gated::with_clock(&clock);
    Ok((Traffik::new(backend.clone())?, backend, clock))
}

/// Lets the time pass in which the task of the store pauses, until `is_done`.
async fn pass(clock: &ManualClock, is_done: impl Fn() -> bool) -> Result {
    for _ in 0..1000 {
        if is_done() {
            return Ok(());
        }
        clock.advance(Duration::from_millis(10));
        until_idle().await;
    }
    Err("it is not done after ten seconds".into())
}

#[tokio::test]
async fn settlement_is_made_without_being_awaited() -> Result {
    let (traffik, backend) = app()?;
    let permit = traffik.limiter::<Tokens>("alice").cost(1000).check().await?;
    drop(permit.settle(300));
    drop(permit);
    until(&backend.gate.ended, 1).await;
    assert_eq!(remaining::<Tokens>(&traffik, "alice").await?, 999_700);
    Ok(())
}

#[tokio::test]
async fn answer_has_the_result_and_the_permit_shows_it() -> Result {
    let (traffik, backend) = app()?;
    let permit = traffik.limiter::<(Tokens, Requests)>("alice").cost(1000).check().await?;
    backend.open(false);
    let (tokens, requests) = (permit.of::<Tokens>(), permit.of::<Requests>());
    let answers = [tokens.settle(300), requests.refund()];
    assert_eq!(tokens.tightest().remaining(), 999_000, "it is not made yet");
    backend.open(true);
    for answer in answers {
        assert_eq!(answer.await?, Settlement::Done);
    }
    assert_eq!(
        (tokens.tightest().remaining(), requests.tightest().remaining()),
        (Amount::Units(999_700), Amount::Units(1_000_000))
    );
    assert_eq!(backend.gate.begun(), 1, "both are one call");
    Ok(())
}

#[tokio::test]
async fn changes_of_one_charge_are_made_in_order() -> Result {
    let (traffik, backend) = app()?;
    let permit = traffik.limiter::<Tokens>("alice").cost(10).check().await?;
    backend.open(false);
    let answers = [permit.charge_more(5), permit.charge_more(7), permit.settle(1), permit.charge_more(100)];
    backend.open(true);
    let mut results = Vec::new();
    for answer in answers {
        results.push(answer.await);
    }
    assert!(matches!(
        results[..],
        [Ok(Settlement::Done), Ok(Settlement::Done), Ok(Settlement::Done), Err(AdjustError::Settled)]
    ));
    assert_eq!((permit.granted(), remaining::<Tokens>(&traffik, "alice").await?), (1, 999_999));
    Ok(())
}

#[tokio::test]
async fn call_that_did_not_run_is_repeated() -> Result {
    let (traffik, backend, clock) = app_with_clock()?;
    let permit = traffik.limiter::<Tokens>("alice").cost(1000).check().await?;
    backend.gate.does_not_run.store(true, Ordering::Relaxed);
    let settled = tokio::spawn(async move { permit.settle(300).await });
    until(&backend.gate.ended, 1).await;
    pass(&clock, || settled.is_finished()).await?;
    assert_eq!(settled.await??, Settlement::Done);
    assert_eq!((backend.gate.begun(), remaining::<Tokens>(&traffik, "alice").await?), (2, 999_700));
    Ok(())
}

#[tokio::test]
async fn settlement_that_did_not_run_is_repeated_alone() -> Result {
    let (traffik, backend, clock) = app_with_clock()?;
    let others = traffik.limiter::<Tokens>("alice").cost(5000).check().await?;
    let of_alice = traffik.limiter::<Tokens>("alice").cost(1000).check().await?;
    let of_bob = traffik.limiter::<Tokens>("bob").cost(1000).check().await?;
    *backend.gate.away.lock().unwrap_or_else(PoisonError::into_inner) = Some(Key::from("bob"));
    let (alice, bob) = (of_alice.settle(300), of_bob.settle(300));
    assert_eq!(alice.await?, Settlement::Done, "it does not wait for the other");
    assert_eq!((backend.gate.begun(), remaining::<Tokens>(&traffik, "bob").await?), (1, 999_000));

    clock.advance(Duration::from_millis(50));
    assert_eq!(bob.await?, Settlement::Done);
    assert_eq!((backend.gate.begun(), remaining::<Tokens>(&traffik, "bob").await?), (2, 999_700));
    // The settlement that ran is not repeated, which would give back what other requests took.
    assert_eq!(remaining::<Tokens>(&traffik, "alice").await?, 994_700);
    drop(others);
    Ok(())
}

#[tokio::test]
async fn settlement_that_waits_for_a_repetition_delays_no_other() -> Result {
    let (traffik, backend, clock) = app_with_clock()?;
    let [one, other] = ["alice", "bob"].map(|client| traffik.limiter::<Tokens>(client).cost(1000));
    let (one, other) = (one.check().await?, other.check().await?);
    backend.gate.does_not_run.store(true, Ordering::Relaxed);
    let waiting = one.settle(300);
    until(&backend.gate.ended, 1).await;
    // The clock stands still.
    assert_eq!(other.settle(300).await?, Settlement::Done);
    assert_eq!(remaining::<Tokens>(&traffik, "alice").await?, 999_000);
    clock.advance(Duration::from_millis(50));
    assert_eq!(waiting.await?, Settlement::Done);
    Ok(())
}

#[tokio::test]
async fn charge_that_could_not_be_settled_can_be_settled_again() -> Result {
    let (traffik, backend, clock) = app_with_clock()?;
    let permit = Arc::new(traffik.limiter::<Tokens>("alice").cost(1000).check().await?);
    backend.gate.never_runs.store(true, Ordering::Relaxed);
    let failing = Arc::clone(&permit);
    let failed = tokio::spawn(async move { failing.settle(300).await });
    pass(&clock, || failed.is_finished()).await?;
    let failed = failed.await?;
    assert_eq!((backend.gate.begun(), traffik.lost_settlements()), (3, 1));
    assert!(
        matches!(&failed, Err(AdjustError::Backend(error)) if matches!(**error, BackendError::NotRun(_))),
        "{failed:?}"
    );
    assert_eq!((permit.granted(), remaining::<Tokens>(&traffik, "alice").await?), (1000, 999_000));

    backend.gate.never_runs.store(false, Ordering::Relaxed);
    let settled = tokio::spawn(async move { permit.settle(200).await });
    pass(&clock, || settled.is_finished()).await?;
    assert_eq!(settled.await??, Settlement::Done);
    assert_eq!(remaining::<Tokens>(&traffik, "alice").await?, 999_800);
    Ok(())
}

#[tokio::test]
async fn call_that_may_have_run_is_not_repeated() -> Result {
    let (traffik, backend) = app()?;
    let permit = traffik.limiter::<Tokens>("alice").cost(1000).check().await?;
    backend.gate.panics.store(true, Ordering::Relaxed);
    let failed = permit.settle(300).await;
    assert!(matches!(&failed, Err(AdjustError::Backend(error)) if error.may_have_run()), "{failed:?}");
    assert!(matches!(permit.settle(300).await, Err(AdjustError::Settled)));
    assert_eq!((backend.gate.begun(), remaining::<Tokens>(&traffik, "alice").await?), (1, 999_000));
    Ok(())
}

/// Settles its charge, and is then refused by another limit.
async fn settled_and_refused(request: Request) -> std::result::Result<(), ThrottleRejection> {
    let (mut parts, _) = request.into_parts();
    let tokens = parts.extract::<Throttled<Answers>>().await?;
    let _ = tokens.settle(300).await;
    parts.extract::<Throttled<Once>>().await.map(drop)
}

#[tokio::test]
async fn settlement_whose_answer_is_lost_is_not_given_back_twice() -> Result {
    let (traffik, backend) = app()?;
    let others = traffik.limiter::<Answers>(HERE).cost(5000).check().await?;
    let _ = traffik.limiter::<Once>(HERE).check().await?;
    let app = Router::new().route("/", get(settled_and_refused)).layer(traffik.layer());
    backend.gate.loses_answers.store(true, Ordering::Relaxed);
    assert_eq!(Server::start(app).await.get("/").await.status, 429);
    // The settlement gave back 700 of 1000, and the refusal at most the rest.
    assert!(remaining::<Answers>(&traffik, HERE).await? <= 995_000);
    drop(others);
    Ok(())
}

#[tokio::test]
async fn charge_that_the_handler_settled_is_not_shown_as_refunded() -> Result {
    async fn handler(tokens: Throttled<Free>) {
        drop(tokens.settle(300));
    }
    let (traffik, backend) = app()?;
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let reply = Server::start(app).await.get("/").await;
    let state = reply.state().ok_or("no field")?;
    assert!(["r=999999", "r=999700"].iter().any(|remaining| state.contains(remaining)), "{state}");
    until(&backend.gate.ended, 1).await;
    assert_eq!(remaining::<Free>(&traffik, HERE).await?, 999_700);
    Ok(())
}

#[tokio::test]
async fn permit_whose_refund_failed_cannot_be_refunded_again() -> Result {
    let (traffik, backend, clock) = app_with_clock()?;
    let permit = Arc::new(traffik.limiter::<Held>("alice").check().await?);
    backend.gate.never_runs.store(true, Ordering::Relaxed);
    let failing = Arc::clone(&permit);
    let failed = tokio::spawn(async move { failing.refund().await });
    pass(&clock, || failed.is_finished()).await?;
    assert!(matches!(failed.await?, Err(AdjustError::Backend(_))));
    assert!(matches!(permit.refund().await, Err(AdjustError::Settled)), "its lease has to end");
    Ok(())
}

#[tokio::test]
async fn queue_of_settlements_is_bounded() -> Result {
    let (traffik, backend) = app()?;
    backend.open(false);
    let mut permits = Vec::new();
    for _ in 0..10_001 {
        permits.push(traffik.limiter::<Tokens>("alice").check().await?);
    }
    let mut answers: Vec<_> = permits.iter().map(traffik::Permit::refund).collect();
    let last = answers.pop().ok_or("no answers")?;
    assert!(matches!(last.await, Err(AdjustError::QueueFull)));
    assert_eq!(traffik.lost_settlements(), 1);
    backend.open(true);
    for answer in answers {
        assert_eq!(answer.await?, Settlement::Done);
    }
    assert_eq!(remaining::<Tokens>(&traffik, "alice").await?, 999_999);

    // There is room again.
    let last = permits.pop().ok_or("no permits")?;
    assert_eq!(last.refund().await?, Settlement::Done);
    assert_eq!(remaining::<Tokens>(&traffik, "alice").await?, 1_000_000);
    Ok(())
}

#[tokio::test]
async fn additions_that_wait_become_one_change() -> Result {
    let (traffik, backend) = app()?;
    let permit = traffik.limiter::<Tokens>("alice").check().await?;
    backend.open(false);
    let answers: Vec<_> = (0..100).map(|_| permit.charge_more(1)).collect();
    let settled = permit.settle(50);
    backend.open(true);
    for answer in answers {
        assert_eq!(answer.await?, Settlement::Done);
    }
    assert_eq!(settled.await?, Settlement::Done);
    assert_eq!((backend.gate.begun(), permit.granted()), (3, 50), "the first, the others together, and the settlement");
    assert_eq!(remaining::<Tokens>(&traffik, "alice").await?, 999_950);
    Ok(())
}

/// The first answer of a backend that decides at once is kept, and not polled.
#[tokio::test]
async fn change_of_a_backend_that_adjusts_later_is_made_by_the_task() -> Result {
    let clock = ManualClock::new();
    let backend = Gated { decides_now: true, ..Gated::with_clock(&clock) };
    let traffik = Traffik::new(backend.clone())?;
    let first = traffik.limiter::<Tokens>("alice").cost(10).check().await?;
    assert_eq!(first.settle(5).await?, Settlement::Done);
    let second = traffik.limiter::<Tokens>("alice").cost(10).check().await?;
    let kept = second.charge_more(1);
    assert_eq!(second.settle(3).await?, Settlement::Done);
    assert_eq!(kept.await?, Settlement::Done);
    assert_eq!(remaining::<Tokens>(&traffik, "alice").await?, 999_992);
    Ok(())
}

#[tokio::test]
async fn close_waits_for_settlements() -> Result {
    let (traffik, backend) = app()?;
    let permit = traffik.limiter::<Tokens>("alice").cost(1000).check().await?;
    backend.open(false);
    let settled = tokio::spawn(async move { permit.settle(300).await });
    until(&backend.gate.begun, 1).await;
    let closing = traffik.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    backend.open(true);
    closed.await??;
    assert_eq!(settled.await??, Settlement::Done);
    Ok(())
}

#[tokio::test]
async fn close_gives_up_on_settlements_at_the_deadline() -> Result {
    let (traffik, backend, clock) = app_with_clock()?;
    let permit = traffik.limiter::<Tokens>("alice").cost(1000).check().await?;
    backend.open(false);
    let settled = tokio::spawn(async move { permit.settle(300).await });
    until(&backend.gate.begun, 1).await;
    let closed = tokio::spawn(async move { traffik.close().await });
    pass(&clock, || closed.is_finished() && settled.is_finished()).await?;
    let _ = closed.await?;
    assert!(matches!(settled.await?, Err(AdjustError::Backend(error)) if error.may_have_run()));
    Ok(())
}

#[test]
fn lost_settlements_are_logged_once_a_second_with_the_uid_of_the_first() {
    on_a_thread_of_its_own(|| async {
        let (log, _guard) = Log::begin();
        let lost = async || -> Result<u64> {
            let (traffik, backend, clock) = app_with_clock()?;
            backend.gate.loses_answers.store(true, Ordering::Relaxed);
            for after in [0, 10, 1000] {
                clock.advance(Duration::from_millis(after));
                let permit = traffik.limiter::<(Tokens, Requests)>("alice@example.com").cost(10).check().await?;
                drop(permit.refund());
                drop(permit);
                until_idle().await;
            }
            Ok(traffik.lost_settlements())
        };
        assert_eq!(lost().await.ok(), Some(6));
        let text = log.text();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("may not have been settled")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        for line in lines {
            assert!(line.contains("later:tokens") && line.contains("charges=2"), "{line}");
            assert!(line.contains("the connection was lost") && !line.contains("alice"), "{line}");
        }
    });
}
