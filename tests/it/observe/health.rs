//! Whether the backends answer, and what decides.

use std::{sync::LazyLock, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use serde_json::json;
use traffik::{
    MemoryBackend, Settings, Traffik,
    breaker::{BreakerState, CircuitBreaker},
    health::{BackendHealth, Deciding, Health},
    on_error::{Allow, Failover, Fallback, Raise, Refuse},
};

use super::{Allowed, Five, Result, app};
use crate::{
    http::{app::throttle, server::Server},
    on_error::backends::{Mood, app as moody},
};

fn first(health: &Health) -> Result<&BackendHealth> {
    Ok(health.backends().first().ok_or("no backend")?)
}

#[tokio::test]
async fn health_says_whether_each_backend_answers_and_since_when() -> Result {
    let (traffik, backend, clock) = moody(|builder, _| builder);
    let health = traffik.health();
    assert_eq!((first(&health)?.answers(), first(&health)?.since()), (None, None), "it was not asked");
    assert_eq!((first(&health)?.name(), first(&health)?.namespace()), ("default", "test"));
    assert!(health.is_ready() && health.is_undisturbed());

    clock.advance(Duration::from_secs(5));
    let answered_at = traffik.clock().now();
    let _ = traffik.limiter::<Five>("alice").check().await?;
    clock.advance(Duration::from_secs(5));
    let _ = traffik.limiter::<Five>("alice").check().await?;
    let health = traffik.health();
    assert_eq!((first(&health)?.answers(), first(&health)?.since()), (Some(true), Some(answered_at)));
    assert_eq!(first(&health)?.last_error(), None);

    backend.is(Mood::Fails);
    let failed_at = traffik.clock().now();
    assert!(traffik.limiter::<Five>("alice").check().await.is_err());
    let health = traffik.health();
    assert_eq!((first(&health)?.answers(), first(&health)?.since()), (Some(false), Some(failed_at)));
    assert!(first(&health)?.last_error().is_some_and(|error| error.contains("the connection was lost")));
    assert_eq!((first(&health)?.deciding(), health.is_ready()), (Some(Deciding::Refuse), false));

    backend.is(Mood::Answers);
    let _ = traffik.limiter::<Five>("bob").check().await?;
    let health = traffik.health();
    assert_eq!(first(&health)?.answers(), Some(true));
    assert_eq!(first(&health)?.last_error_at(), Some(failed_at), "the last error stays known");
    assert!(health.is_ready() && health.is_undisturbed());
    Ok(())
}

#[tokio::test]
async fn backend_that_is_set_up_wrong_is_no_outage() -> Result {
    let (traffik, backend, _) = moody(|builder, _| builder);
    let _ = traffik.limiter::<Five>("alice").check().await?;
    let since = first(&traffik.health())?.since();
    backend.is(Mood::IsMisconfigured);
    assert!(traffik.limiter::<Five>("alice").check().await.is_err());
    for health in [traffik.health(), traffik.check_health().await] {
        assert!(health.is_ready() && health.is_undisturbed(), "{health:?}");
        assert_eq!((first(&health)?.answers(), first(&health)?.since()), (Some(true), since));
        assert!(first(&health)?.last_error().is_some_and(|error| error.contains(".secret(..)")), "{health:?}");
    }
    Ok(())
}

#[tokio::test]
async fn health_says_what_decides_while_a_backend_does_not_answer() -> Result {
    for (number, deciding, is_ready) in [
        (0, Deciding::Refuse, false),
        (1, Deciding::Raise, false),
        (2, Deciding::Admit, true),
        (3, Deciding::Fallback, true),
    ] {
        let (traffik, backend, _) = moody(|builder, clock| match number {
            0 => builder.on_error(Refuse),
            1 => builder.on_error(Raise),
            2 => builder.on_error(Allow),
            _ => builder.on_error(Fallback::to(MemoryBackend::with_clock("fallback", clock.clone()))),
        });
        assert_eq!(first(&traffik.health())?.deciding(), Some(Deciding::Backend));
        backend.is(Mood::Fails);
        let health = traffik.check_health().await;
        assert_eq!((first(&health)?.deciding(), health.is_ready()), (Some(deciding), is_ready));
        assert!(!health.is_undisturbed());
    }
    Ok(())
}

#[tokio::test]
async fn health_lists_named_backends_fallbacks_and_policies_of_throttles() -> Result {
    let (traffik, ..) =
        app(|builder| builder.on_error(Fallback::to(MemoryBackend::new("test:fallback"))).register::<Allowed>())?;
    let health = traffik.check_health().await;
    let names: Vec<_> = health.backends().iter().map(|backend| (backend.name(), backend.throttle())).collect();
    let expected = [
        ("default", None),
        ("default:fallback", None),
        ("local", None),
        ("local:fallback", None),
        ("default", Some("observe:allowed")),
    ];
    assert_eq!(names, expected);
    assert!(health.backends().iter().all(|backend| backend.answers() == Some(true)));
    assert!(Traffik::disabled().check_health().await.backends().is_empty());
    Ok(())
}

#[tokio::test]
async fn breaker_closes_by_health_checks_without_traffic() -> Result {
    let breaker = CircuitBreaker::builder()
        .failure_threshold(2)
        .recovery_timeout(Duration::from_secs(60))
        .success_threshold(2)
        .build()?;
    let (traffik, backend, clock) = moody(|builder, clock| {
        builder.on_error(Failover::to(MemoryBackend::with_clock("fallback", clock.clone())).breaker(breaker.clone()))
    });
    backend.is(Mood::Fails);
    for _ in 0..2 {
        traffik.check_health().await;
    }
    let health = traffik.health();
    assert_eq!(first(&health)?.breaker().map(|status| status.state), Some(BreakerState::Open));
    let in_a_minute = traffik.clock().now().saturating_add(Duration::from_secs(60));
    assert_eq!(first(&health)?.next_trial_at(), Some(in_a_minute));
    assert_eq!((first(&health)?.deciding(), health.is_ready()), (Some(Deciding::Fallback), true));

    backend.is(Mood::Answers);
    let health = traffik.check_health().await;
    assert_eq!(first(&health)?.answers(), Some(true), "it says so while the breaker is open");
    assert_eq!((breaker.state(), first(&health)?.deciding()), (BreakerState::Open, Some(Deciding::Fallback)));
    clock.advance(Duration::from_secs(60));
    traffik.check_health().await;
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    let health = traffik.check_health().await;
    assert_eq!((breaker.state(), first(&health)?.deciding()), (BreakerState::Closed, Some(Deciding::Backend)));
    assert!(health.is_undisturbed());
    Ok(())
}

#[tokio::test]
async fn health_check_of_a_backend_that_hangs_ends_in_time() -> Result {
    let (traffik, backend, clock) = moody(|builder, _| builder);
    backend.is(Mood::Hangs);
    let checking = traffik.clone();
    let check = tokio::spawn(async move { checking.check_health().await });
    tests::until_idle().await;
    clock.advance(Duration::from_millis(100));
    let health = check.await?;
    assert!(first(&health)?.last_error().is_some_and(|error| error.contains("100ms")), "{health:?}");
    Ok(())
}

#[tokio::test]
async fn readiness_route_recovers_over_http_without_traffic() -> Result {
    async fn ready(traffik: Traffik) -> StatusCode {
        if traffik.check_health().await.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    }
    let (traffik, backend, _) = moody(|builder, _| builder);
    let server = Server::start(Router::new().route("/ready", get(ready)).layer(traffik.layer())).await;
    assert_eq!(server.get("/ready").await.status, 200);
    backend.is(Mood::IsAway);
    assert_eq!(server.get("/ready").await.status, 503);
    backend.is(Mood::Answers);
    assert_eq!(server.get("/ready").await.status, 200);
    Ok(())
}

#[tokio::test]
async fn closed_app_is_not_ready() -> Result {
    let (traffik, ..) = app(|builder| builder)?;
    traffik.close().await?;
    let health = traffik.check_health().await;
    assert!(!health.is_ready() && first(&health)?.last_error().is_some_and(|error| error.contains("closed")));
    Ok(())
}

#[tokio::test]
async fn health_is_shown_as_json() -> Result {
    let (traffik, backend, _) = moody(|builder, _| builder);
    backend.is(Mood::Fails);
    let json = serde_json::to_value(traffik.check_health().await)?;
    let since = json.pointer("/backends/0/since").cloned().ok_or("no time")?;
    assert!(since.as_str().is_some_and(|since| since.ends_with('Z')), "{since}");
    let expected = json!({
        "ready": false,
        "backends": [{
            "name": "default",
            "namespace": "test",
            "throttle": null,
            "answers": false,
            "since": since,
            "last_error": "the backend is unavailable: the connection was lost",
            "last_error_at": since,
            "deciding": "refuse",
            "breaker": null,
            "next_trial_at": null,
        }],
    });
    assert_eq!(json, expected);
    Ok(())
}

#[tokio::test]
async fn refusal_that_is_repeated_without_a_call_ends_no_outage() -> Result {
    let breaker = CircuitBreaker::builder().failure_threshold(2).build()?;
    let (traffik, backend, _) = moody(|builder, clock| {
        builder.on_error(Failover::to(MemoryBackend::with_clock("fallback", clock.clone())).breaker(breaker.clone()))
    });
    while tests::admits::<Five>(&traffik, "alice").await? {}
    backend.is(Mood::Fails);
    assert!(tests::admits::<Five>(&traffik, "bob").await?, "by the fallback");
    backend.is(Mood::Repeats);
    assert!(!tests::admits::<Five>(&traffik, "alice").await?);
    assert_eq!((first(&traffik.health())?.answers(), breaker.status().failures), (Some(false), 1));
    backend.is(Mood::Fails);
    assert!(tests::admits::<Five>(&traffik, "bob").await?);
    assert_eq!(breaker.state(), BreakerState::Open);
    Ok(())
}

static SHARED: LazyLock<CircuitBreaker> = LazyLock::new(CircuitBreaker::new);

fn by_shared_breaker() -> Settings {
    Settings::new().on_error(Failover::to(MemoryBackend::new("fallback")).breaker(SHARED.clone()))
}

throttle!(OneOfTwo, "health:one-of-two", "5/min", by_shared_breaker());
throttle!(OtherOfTwo, "health:other-of-two", "5/min", by_shared_breaker());

#[tokio::test]
async fn breaker_that_policies_share_counts_a_health_check_once() {
    let (traffik, backend, _) = moody(|builder, _| builder.register::<(OneOfTwo, OtherOfTwo)>());
    backend.is(Mood::Fails);
    for checks in 1..4 {
        traffik.check_health().await;
        assert_eq!(SHARED.status().failures, checks);
    }
}
