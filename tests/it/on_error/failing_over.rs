//! Failover: another backend decides.

use std::{sync::LazyLock, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, request::Parts},
    routing::get,
};
use tests::{admits, refused};
use tower::ServiceExt;
use traffik::{
    CheckError, DefaultIdentity, Error, Limits, Rate, Rule, Settings, Throttle, Throttled, Traffik,
    backend::{Backend, BackendError, MemoryBackend},
    breaker::{BreakerState, CircuitBreaker},
    on_error::{Allow, Failover, Fallback},
    test::{ManualClock, RequestExt},
};

use super::{
    Dear, Five, Free, Local, Two,
    backends::{Mood, Moody, advance, app, store},
};

const MINUTE: Duration = Duration::from_secs(60);

/// The fallback of one throttle.
static OWN: LazyLock<MemoryBackend> = LazyLock::new(|| MemoryBackend::new("own"));

throttles! {
    WithOwn: "on-error:with-own", "5/min", Settings::new().on_error(Fallback::to(OWN.clone()));
}

#[tokio::test]
async fn fallback_decides_if_the_primary_fails() {
    let clock = ManualClock::new();
    let spare = store(&clock);
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Fallback::to(spare.clone())));
    assert!(!traffik.limiter::<(Two, Five)>("alice").check().await.unwrap().is_from_fallback());

    backend.is(Mood::Fails);
    for admitted in [true, true, false] {
        let check = traffik.limiter::<(Two, Five)>("alice").check().await;
        let limits = if admitted { Limits::clone(&check.unwrap()) } else { Limits::clone(&refused(check)) };
        assert!(limits.is_from_fallback() && limits.iter().all(|limit| limit.is_from_fallback() && limit.is_counted()));
    }
    assert_eq!((backend.asked(), spare.len()), (4, 2), "the primary is called each time");

    backend.is(Mood::Answers);
    let permit = traffik.limiter::<(Two, Five)>("bob").check().await.unwrap();
    assert!(!permit.is_from_fallback());
}

#[tokio::test]
async fn charge_of_the_fallback_is_refunded_there() {
    let (traffik, backend, _) = app(|builder, clock| builder.on_error(Fallback::to(store(clock))));
    backend.is(Mood::Fails);
    let _ = traffik.limiter::<Two>("alice").check().await.unwrap();
    let permit = traffik.limiter::<Two>("alice").check().await.unwrap();
    assert_eq!(permit.tightest().remaining(), 0);

    backend.is(Mood::Answers);
    permit.refund().await.unwrap();
    backend.is(Mood::Fails);
    assert_eq!(traffik.limiter::<Two>("alice").peek().await.unwrap().tightest().remaining(), 1);
    traffik.reset::<Two>("alice").await.unwrap_err();
    assert_eq!(
        traffik.limiter::<Two>("alice").peek().await.unwrap().tightest().remaining(),
        2,
        "it is reset all the same"
    );
}

#[tokio::test]
async fn charge_of_the_fallback_is_refunded_there_in_any_tuple_order() {
    let (traffik, backend, _) = app(|builder, clock| builder.on_error(Fallback::to(store(clock))));
    assert!(!traffik.limiter::<Two>("alice").check().await.unwrap().is_from_fallback());
    backend.is(Mood::Fails);
    let permit = traffik.limiter::<(Free, Two)>("alice").check().await.unwrap();
    assert!(permit.is_from_fallback());

    // The primary charged nothing.
    backend.is(Mood::Answers);
    permit.refund().await.unwrap();
    assert_eq!(traffik.limiter::<Two>("alice").peek().await.unwrap().tightest().remaining(), 1);
    backend.is(Mood::Fails);
    assert_eq!(traffik.limiter::<Two>("alice").peek().await.unwrap().tightest().remaining(), 2);
}

#[tokio::test]
async fn share_divides_each_limit_and_caps_the_cost() {
    let (traffik, backend, _) = app(|builder, clock| builder.on_error(Fallback::to(store(clock)).share(4)));
    assert_eq!(traffik.limiter::<Dear>("alice").check().await.unwrap().tightest().remaining(), 13);

    backend.is(Mood::Fails);
    let permit = traffik.limiter::<(Five, Two)>("alice").check().await.unwrap();
    assert_eq!(permit.iter().map(traffik::Limit::capacity).collect::<Vec<_>>(), [1, 1]);
    assert!(!admits::<(Five, Two)>(&traffik, "alice").await.unwrap());
    permit.refund().await.unwrap();
    assert!(admits::<(Five, Two)>(&traffik, "alice").await.unwrap());

    let dear = traffik.limiter::<Dear>("alice").check().await.unwrap();
    let limit = dear.tightest();
    assert!(limit.capacity() == 5 && limit.cost() == 5 && limit.remaining() == 0, "{limit:?}");
    let refused = refused(traffik.limiter::<Dear>("alice").check().await);
    assert_eq!(refused.retry_after(), Some(MINUTE));
}

#[tokio::test]
async fn fallback_decides_within_the_deadline_of_the_request() {
    let (traffik, backend, clock) = app(|builder, clock| builder.on_error(Fallback::to(store(clock))));
    backend.is(Mood::ChargesAndHangs);
    let app = traffik.clone();
    let call =
        tokio::spawn(async move { app.limiter::<Two>("alice").check().await.map(|permit| permit.is_from_fallback()) });
    advance(&clock, Duration::from_micros(74_999)).await;
    assert!(!call.is_finished());
    advance(&clock, Duration::from_micros(1)).await;
    assert!(call.await.unwrap().unwrap());

    // The primary charged without answering. That charge stays.
    backend.is(Mood::Answers);
    assert_eq!(traffik.limiter::<Two>("alice").peek().await.unwrap().tightest().remaining(), 1);
}

#[tokio::test]
async fn hanging_fallback_is_an_error_at_the_deadline() {
    let clock = ManualClock::new();
    let spare = Moody::new(&clock);
    spare.is(Mood::Hangs);
    let first = Moody::new(&clock);
    first.is(Mood::Hangs);
    let traffik = Traffik::builder(first).on_error(Fallback::to(spare)).build().unwrap();
    let call = tokio::spawn(async move { traffik.limiter::<Two>("alice").check().await.map(drop) });
    advance(&clock, Duration::from_millis(75)).await;
    advance(&clock, Duration::from_micros(24_999)).await;
    assert!(!call.is_finished());
    advance(&clock, Duration::from_micros(1)).await;
    assert!(matches!(call.await.unwrap(), Err(CheckError::Failed(Error::Backend(BackendError::Timeout(_))))));
}

#[tokio::test]
async fn open_breaker_skips_the_primary() {
    let breaker =
        CircuitBreaker::builder().failure_threshold(3).recovery_timeout(MINUTE).success_threshold(2).build().unwrap();
    let (traffik, backend, clock) =
        app(|builder, clock| builder.on_error(Failover::to(store(clock)).breaker(breaker.clone())));
    backend.is(Mood::Hangs);
    for _ in 0..3 {
        let app = traffik.clone();
        let call =
            tokio::spawn(
                async move { app.limiter::<Five>("alice").check().await.map(|permit| permit.is_from_fallback()) },
            );
        advance(&clock, Duration::from_millis(75)).await;
        assert!(call.await.unwrap().unwrap());
    }
    assert_eq!((breaker.state(), backend.asked()), (BreakerState::Open, 3));

    // The clock stands still, and each request is still decided.
    for client in 0..100_u64 {
        assert!(traffik.limiter::<Five>(client).check().await.unwrap().is_from_fallback());
    }
    assert!(traffik.limiter::<Five>("alice").peek().await.unwrap().is_from_fallback());
    assert_eq!(backend.asked(), 3);
}

#[tokio::test]
async fn working_primary_decides_and_the_fallback_is_not_called() {
    let clock = ManualClock::new();
    let spare = store(&clock);
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Failover::to(spare.clone())));
    for _ in 0..5 {
        assert!(admits::<Five>(&traffik, "alice").await.unwrap());
    }
    assert!(!refused(traffik.limiter::<Five>("alice").check().await).is_from_fallback());
    assert_eq!((backend.asked(), spare.len()), (6, 0));
}

#[tokio::test]
async fn fallback_is_cleared_and_closed_with_the_app() {
    let clock = ManualClock::new();
    let spare = store(&clock);
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Failover::to(spare.clone())));
    backend.is(Mood::Fails);
    let _ = traffik.limiter::<Five>("alice").check().await.unwrap();
    assert_eq!(spare.len(), 1);
    traffik.clear().await.unwrap();
    assert!(spare.is_empty());

    traffik.close().await.unwrap();
    assert!(matches!(spare.clear().await, Err(BackendError::Closed)));
    backend.is(Mood::Answers);
    let error = traffik.limiter::<Five>("alice").check().await.unwrap_err();
    assert!(matches!(error, CheckError::Failed(Error::Backend(BackendError::Closed))), "{error}");
}

#[tokio::test]
async fn fallback_of_a_throttle_is_cleared_and_closed_with_the_app() {
    let (traffik, backend, _) = app(|builder, _| builder);
    backend.is(Mood::Fails);
    assert!(traffik.limiter::<WithOwn>("alice").check().await.unwrap().is_from_fallback());
    assert_eq!(OWN.len(), 1);
    traffik.clear().await.unwrap();
    assert!(OWN.is_empty());
    traffik.close().await.unwrap();
    assert!(matches!(OWN.clear().await, Err(BackendError::Closed)));
}

#[tokio::test]
async fn failed_backend_does_not_affect_other_backends() {
    let clock = ManualClock::new();
    let (own, local) = (Moody::new(&clock), Moody::new(&clock));
    let breaker = CircuitBreaker::builder().failure_threshold(1).build().unwrap();
    let traffik = Traffik::builder(own.clone())
        .backend("local", local.clone())
        .on_error(Failover::to(store(&clock)).breaker(breaker.clone()))
        .build()
        .unwrap();
    local.is(Mood::Fails);
    assert!(traffik.limiter::<Local>("alice").check().await.unwrap().is_from_fallback());
    assert!(traffik.limiter::<Local>("alice").check().await.unwrap().is_from_fallback());
    assert_eq!((local.asked(), breaker.state()), (1, BreakerState::Closed));
    assert!(!traffik.limiter::<Five>("alice").check().await.unwrap().is_from_fallback());
}

/// The fallback of a throttle that does not apply to all requests.
static OF_SOME: LazyLock<MemoryBackend> = LazyLock::new(|| MemoryBackend::new("of-some"));

throttles! {
    Allowing: "on-error:allowing", "1/min", Settings::new().on_error(Allow);
    OfSome: "on-error:of-some", "100/min", Settings::new()
        .rule(Rule::when(|parts: &Parts| parts.headers.contains_key("x-some")))
        .on_error(Fallback::to(OF_SOME.clone()));
}

#[tokio::test]
async fn fallback_of_a_throttle_that_does_not_apply_still_refuses_its_client() {
    let (traffik, backend, _) = app(|builder, _| builder);
    let routes = Router::new().route("/", get(|_: Throttled<(Allowing, OfSome)>| async {})).layer(traffik.layer());
    let status = async |is_some: bool| {
        let mut request = Request::new(Body::empty()).with_peer("203.0.113.7:5");
        if is_some {
            request.headers_mut().insert("x-some", HeaderValue::from_static("1"));
        }
        routes.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    backend.is(Mood::Fails);
    assert_eq!([status(true).await, status(true).await], [200, 429]);
    backend.is(Mood::Answers);
    assert_eq!([status(true).await, status(false).await], [429, 429]);
}
