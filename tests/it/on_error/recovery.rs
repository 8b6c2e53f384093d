//! The primary backend comes back.

use std::{sync::LazyLock, time::Duration};

use futures_util::FutureExt;
use tests::{admits, refused, until_idle};
use traffik::{
    DefaultIdentity, Rate, Settings, Throttle, Traffik,
    backend::MemoryBackend,
    breaker::{BreakerState, CircuitBreaker},
    on_error::{Failover, Fallback},
    test::ManualClock,
};

use super::{
    Five, Raised, Two,
    backends::{Mood, Moody, advance, app, store},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns an app whose breaker opens at the first failure and closes after two trials.
#[expect(clippy::unwrap_used, reason = "the settings are in range")]
fn failing_over() -> (Traffik, Moody, ManualClock, CircuitBreaker) {
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(MINUTE / 2)
        .success_threshold(2)
        .build()
        .unwrap();
    let (traffik, backend, clock) =
        app(|builder, clock| builder.on_error(Failover::to(store(clock)).breaker(breaker.clone())));
    (traffik, backend, clock, breaker)
}

async fn is_from_fallback(traffik: &Traffik, client: u64) -> bool {
    traffik.limiter::<Five>(client).check().await.is_ok_and(|permit| permit.is_from_fallback())
}

#[tokio::test]
async fn app_started_during_an_outage_uses_the_primary_once_it_returns() {
    let clock = ManualClock::new();
    let backend = Moody::new(&clock);
    backend.is(Mood::IsAway);
    let breaker =
        CircuitBreaker::builder().failure_threshold(2).recovery_timeout(MINUTE).success_threshold(1).build().unwrap();
    let failover = Failover::to(store(&clock)).breaker(breaker.clone());
    let traffik = Traffik::builder(backend.clone()).on_error(failover).build().unwrap();
    for client in 0..10 {
        assert!(is_from_fallback(&traffik, client).await);
    }
    assert_eq!(backend.asked(), 2);

    backend.is(Mood::Answers);
    clock.advance(MINUTE);
    for client in 0..10 {
        assert!(!is_from_fallback(&traffik, client).await);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn trials_use_the_primary_while_the_fallback_decides_the_rest() {
    let (traffik, backend, clock, breaker) = failing_over();
    backend.is(Mood::Fails);
    assert!(is_from_fallback(&traffik, 0).await);
    backend.is(Mood::Hangs);
    clock.advance(MINUTE / 2);

    let calls: Vec<_> = (0..20)
        .map(|client| {
            let traffik = traffik.clone();
            tokio::spawn(async move { is_from_fallback(&traffik, client).await })
        })
        .collect();
    until_idle().await;
    assert_eq!(
        calls.iter().filter(|call| !call.is_finished()).count(),
        2,
        "two calls are trials, and no other call waits"
    );
    assert_eq!((backend.asked(), breaker.status().trials), (3, 2));
    assert!(traffik.limiter::<Five>(0_u64).peek().await.unwrap().is_from_fallback(), "a peek does not wait");

    advance(&clock, Duration::from_millis(75)).await;
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    assert!(is_from_fallback(&traffik, 0).await);
    assert_eq!(backend.asked(), 3);
}

#[tokio::test]
async fn trial_of_a_cancelled_request_is_made_by_another() {
    let (traffik, backend, clock, breaker) = failing_over();
    backend.is(Mood::Fails);
    assert!(is_from_fallback(&traffik, 0).await);
    backend.is(Mood::ChargesAndHangs);
    clock.advance(MINUTE / 2);
    for client in 0..5 {
        let app = traffik.clone();
        let call = tokio::spawn(async move { is_from_fallback(&app, client).await });
        until_idle().await;
        assert_eq!(breaker.status().trials, 1);
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!((breaker.state(), breaker.status().trials), (BreakerState::HalfOpen, 0));
    }

    backend.is(Mood::Answers);
    assert!(!is_from_fallback(&traffik, 7).await);
    assert!(!is_from_fallback(&traffik, 8).await);
    assert_eq!(breaker.state(), BreakerState::Closed);
    // The charges of cancelled requests stay counted.
    assert_eq!(traffik.limiter::<Five>(4_u64).peek().await.unwrap().tightest().remaining(), 4);
}

#[tokio::test]
async fn kept_decisions_do_not_pin_the_app_on_its_fallback() {
    let (traffik, backend, clock, breaker) = failing_over();
    backend.is(Mood::Fails);
    assert!(is_from_fallback(&traffik, 0).await);
    backend.is(Mood::Hangs);
    clock.advance(MINUTE / 2);
    let mut kept: Vec<_> = (0..2).map(|client| Box::pin(traffik.limiter::<Five>(client).check())).collect();
    for decision in &mut kept {
        assert!(decision.now_or_never().is_none());
    }
    assert_eq!((breaker.state(), breaker.status().trials), (BreakerState::HalfOpen, 2));

    backend.is(Mood::Answers);
    assert!(is_from_fallback(&traffik, 2).await);
    clock.advance(MINUTE / 2);
    for client in 3..5 {
        assert!(!is_from_fallback(&traffik, client).await);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    // The kept decisions time out when they are polled, and no longer count as failures.
    for decision in kept {
        assert!(decision.await.unwrap().is_from_fallback());
    }
    assert_eq!((breaker.state(), breaker.status().failures), (BreakerState::Closed, 0));
}

#[tokio::test]
async fn client_refused_by_the_fallback_stays_refused_for_its_wait() {
    let (traffik, backend, clock, breaker) = failing_over();
    backend.is(Mood::Fails);
    for _ in 0..2 {
        assert!(admits::<Two>(&traffik, "alice").await.unwrap());
    }
    assert_eq!(refused(traffik.limiter::<Two>("alice").check().await).retry_after(), Some(MINUTE));

    backend.is(Mood::Answers);
    clock.advance(MINUTE / 2);
    for client in ["bob", "carol"] {
        assert!(!traffik.limiter::<Two>(client).check().await.unwrap().is_from_fallback());
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    let asked = backend.asked();
    for _ in 0..3 {
        let refused = refused(traffik.limiter::<(Five, Two)>("alice").check().await);
        assert!(refused.is_from_fallback());
        assert_eq!(refused.retry_after(), Some(MINUTE / 2));
    }
    assert_eq!(backend.asked(), asked);
    assert!(!traffik.limiter::<Five>("alice").check().await.unwrap().is_from_fallback(), "another limit of hers");
    assert!(!traffik.limiter::<Two>("bob").check().await.unwrap().is_from_fallback(), "another client");

    clock.advance(MINUTE / 2);
    let permit = traffik.limiter::<Two>("alice").check().await.unwrap();
    assert!(!permit.is_from_fallback());
}

#[tokio::test]
async fn client_refused_by_the_fallback_stays_refused_without_a_breaker() {
    let (traffik, backend, clock) = app(|builder, clock| builder.on_error(Fallback::to(store(clock))));
    backend.is(Mood::Fails);
    for admitted in [true, true, false] {
        assert_eq!(admits::<Two>(&traffik, "alice").await.unwrap(), admitted);
    }
    let asked = backend.asked();
    backend.is(Mood::Answers);
    assert!(!admits::<Two>(&traffik, "alice").await.unwrap());
    assert!(!traffik.limiter::<Two>("alice").peek().await.unwrap().is_admitted(), "the peek agrees with the decision");
    assert_eq!(backend.asked(), asked);
    clock.advance(MINUTE);
    assert!(!traffik.limiter::<Two>("alice").check().await.unwrap().is_from_fallback());
}

/// The fallback of one throttle, on a clock that stands still.
static OWN: LazyLock<MemoryBackend> = LazyLock::new(|| store(&ManualClock::new()));

throttles! {
    WithOwn: "on-error:recovery:with-own", "1/min", Settings::new().on_error(Fallback::to(OWN.clone()));
}

#[tokio::test]
async fn client_refused_by_the_fallback_stays_refused_in_a_mixed_tuple() {
    let (traffik, backend, clock) = app(|builder, _| builder);
    backend.is(Mood::Fails);
    for admitted in [true, false] {
        assert_eq!(admits::<WithOwn>(&traffik, "alice").await.unwrap(), admitted);
    }
    backend.is(Mood::Answers);
    assert!(!admits::<(Five, WithOwn)>(&traffik, "alice").await.unwrap());
    assert!(!admits::<(Raised, WithOwn)>(&traffik, "alice").await.unwrap());
    assert!(admits::<(Five, Raised)>(&traffik, "alice").await.unwrap());
    clock.advance(MINUTE);
    assert!(admits::<(Five, WithOwn)>(&traffik, "alice").await.unwrap());
}

#[tokio::test]
async fn hanging_fallback_leaves_the_primary_time_to_decide() {
    let clock = ManualClock::new();
    let (backend, spare, breaker) = (Moody::new(&clock), Moody::new(&clock), CircuitBreaker::new());
    let failover = Failover::to(spare.clone()).breaker(breaker.clone());
    let traffik = Traffik::builder(backend.clone()).on_error(failover).build().unwrap();
    backend.is(Mood::Fails);
    for admitted in [true, true, false] {
        assert_eq!(admits::<Two>(&traffik, "alice").await.unwrap(), admitted);
    }
    backend.is(Mood::Slow);
    spare.is(Mood::Hangs);
    let call = tokio::spawn(async move { traffik.limiter::<Two>("alice").check().await });
    advance(&clock, Duration::from_millis(25)).await;
    advance(&clock, Duration::from_millis(10)).await;
    let permit = call.await.unwrap().unwrap();
    assert!(!permit.is_from_fallback());
    assert_eq!(breaker.status().failures, 0);
}

#[tokio::test]
async fn reset_and_clear_end_the_wait_after_a_fallback_refusal() {
    for by_clear in [false, true] {
        let (traffik, backend, clock, _) = failing_over();
        backend.is(Mood::Fails);
        for admitted in [true, true, false] {
            assert_eq!(admits::<Two>(&traffik, "alice").await.unwrap(), admitted);
        }
        backend.is(Mood::Answers);
        clock.advance(MINUTE / 2);
        assert!(!admits::<Two>(&traffik, "alice").await.unwrap());
        if by_clear {
            traffik.clear().await.unwrap();
        } else {
            traffik.reset::<Two>("alice").await.unwrap();
        }
        let permit = traffik.limiter::<Two>("alice").check().await.unwrap();
        assert!(!permit.is_from_fallback());
    }
}
