//! The hook that receives events.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use traffik::{Client, Limiter, Limits, RequestQuota, Throttled, Traffik, observe::EventOutcome};

use super::{Five, MINUTE, One, Result, Two, app};
use crate::{
    http::{logs::Log, server::get_from},
    ws::rig::{self as ws, echoing},
};

#[tokio::test]
async fn panic_in_a_hook_is_logged_once_a_minute_and_affects_nothing_else() -> Result {
    let (log, _guard) = Log::begin();
    let received = Arc::new(AtomicUsize::new(0));
    let last = Arc::clone(&received);
    let (traffik, events, clock) = app(|builder| {
        let builder = builder.on_event(|_| assert!(Five::is_odd(), "this panic is intended"));
        builder.on_event(move |_| _ = last.fetch_add(1, Ordering::Relaxed))
    })?;
    for (pause, logged) in [(0, 1), (59_999, 1), (1, 2), (0, 2)] {
        clock.advance(Duration::from_millis(pause));
        let _ = traffik.limiter::<Five>(("client", pause)).check().await?;
        assert_eq!(log.text().matches("that observes limits panicked").count(), logged, "{}", log.text());
    }
    assert_eq!((events.take().len(), received.load(Ordering::Relaxed)), (4, 4), "hooks before and after it run");
    Ok(())
}

#[tokio::test]
async fn hook_may_read_the_limits_of_its_request() -> Result {
    let met = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&met);
    let (traffik, ..) = app(|builder| {
        builder.on_event(move |event| {
            let limits = event.parts().and_then(|parts| Limits::met_by(&parts.extensions));
            seen.fetch_add(limits.map_or(0, |limits| limits.iter().count()), Ordering::Relaxed);
        })
    })?;
    let app = Router::new().route("/", get(|_: Throttled<Five>| async {})).layer(traffik.layer());
    assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 200);
    assert_eq!(met.load(Ordering::Relaxed), 1);
    Ok(())
}

/// The function holds no lock of the app when it runs.
#[tokio::test]
async fn hook_may_change_limits_wherever_the_event_comes_from() -> Result {
    let handle = Arc::new(OnceLock::<Traffik>::new());
    let traffik = Arc::clone(&handle);
    let (traffik, events, _) = app(|builder| {
        builder.on_event(move |event| {
            let (Some(traffik), Some(client), true) =
                (traffik.get(), event.client(), event.outcome() == EventOutcome::Refused)
            else {
                return;
            };
            let Ok(limit) = traffik.limit(event.uid()) else { return };
            let _ = limit.block(client.clone(), MINUTE, "by the hook");
            assert!(traffik.counts_of(event.uid()).is_some() && !limit.clients().is_empty());
            assert!(!traffik.limits().is_empty() && !traffik.health().backends().is_empty());
        })
    })?;
    handle.set(traffik.clone()).map_err(|_| "it is set")?;

    let limiter = |one: Limiter<One>| async { one.client("limiter").check().await.map(drop) };
    let quota = |one: Limiter<One>| async {
        let mut quota = RequestQuota::new();
        quota.add(one.client("request quota"));
        quota.check().await.map(drop)
    };
    let app = Router::new()
        .route("/argument", get(|_: Throttled<One>| async {}))
        .route("/limiter", get(limiter))
        .route("/quota", get(quota))
        .layer(traffik.layer());
    for path in ["/argument", "/limiter", "/quota"] {
        for status in [200, 429, 429] {
            assert_eq!(get_from(&app, "203.0.113.7:1", path).await.status, status, "{path}");
        }
    }
    for _ in 0..3 {
        let _ = traffik.limiter::<One>("check").check().await;
        let _ = traffik.limiter::<One>("wait").wait(Duration::ZERO).check().await;
        let mut quota = traffik.quota();
        quota.add(traffik.limiter::<One>("quota"));
        let _ = quota.check().await;
    }
    let (address, _) = echoing::<Two>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut client = ws::Client::connect(address).await;
    for _ in 0..4 {
        client.ask("hello").await;
    }
    let outcomes: Vec<_> = events.take().into_iter().map(|event| event.outcome).collect();
    let count = |outcome| outcomes.iter().filter(|one| **one == outcome).count();
    let found = (count(EventOutcome::Admitted), count(EventOutcome::Refused), count(EventOutcome::Blocked));
    assert_eq!(found, (8, 7, 7), "{outcomes:?}");
    Ok(())
}

#[test]
fn event_shows_neither_client_nor_request() -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let shown = Arc::new(std::sync::Mutex::new(String::new()));
    let seen = Arc::clone(&shown);
    let (traffik, ..) = app(|builder| {
        builder.on_event(move |event| {
            if let Ok(mut seen) = seen.lock() {
                seen.push_str(&format!("{event:?}"));
            }
        })
    })?;
    runtime.block_on(async {
        let _ = traffik.limiter::<Five>(Client::from("alice")).check().await;
    });
    let shown = shown.lock().map_err(|_| "poisoned")?;
    assert!(shown.contains("observe:five") && !shown.contains("alice"), "{shown}");
    Ok(())
}

#[test]
fn backend_cannot_have_the_name_of_the_apps_own() {
    let builder = Traffik::builder(traffik::MemoryBackend::new("test"));
    let error = builder.backend("default", traffik::MemoryBackend::new("other")).build().unwrap_err();
    assert!(error.to_string().contains("\"default\""), "{error}");
}

impl Five {
    /// Returns `false`, which the compiler does not know.
    fn is_odd() -> bool {
        std::hint::black_box(false)
    }
}
