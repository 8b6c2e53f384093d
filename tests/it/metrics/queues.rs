use std::time::Duration;

use axum::{Router, routing::get};
use tests::{admits, until, until_idle};
use traffik::Throttled;

use super::{Queue, Result, Two, set_up};
use crate::http::server::get_from;

#[tokio::test]
async fn requests_are_shown_until_their_turn() -> Result {
    let (builder, clock, recorded) = set_up();
    let traffik = builder.build()?;
    let app = Router::new().route("/", get(|_: Throttled<Queue>| async {})).layer(traffik.layer());
    let queued = || recorded.value(r#"traffik_queued_requests{limit="metrics:queue"}"#);
    let requests: Vec<_> = (0..3)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { get_from(&app, "203.0.113.7:1", "/").await.status })
        })
        .collect();
    until_idle().await;
    assert_eq!(queued(), Some(2.0));
    clock.advance(Duration::from_secs(1));
    until_idle().await;
    assert_eq!(queued(), Some(1.0));
    clock.advance(Duration::from_secs(1));
    for request in requests {
        assert_eq!(request.await?, 200);
    }
    assert_eq!(queued(), Some(0.0));
    Ok(())
}

#[tokio::test]
async fn callers_are_shown_while_they_wait() -> Result {
    let (builder, clock, recorded) = set_up();
    let traffik = builder.build()?;
    let waiting = || recorded.value(r#"traffik_waiting_callers{limit="metrics:two"}"#);
    assert!(admits::<Two>(&traffik, "alice").await? && admits::<Two>(&traffik, "alice").await?);
    assert_eq!(waiting(), None);
    let caller = || {
        let traffik = traffik.clone();
        tokio::spawn(async move { traffik.limiter::<Two>("alice").wait(Duration::from_secs(60)).check().await.is_ok() })
    };
    let (one, other) = (caller(), caller());
    until("both wait", async || waiting() == Some(2.0)).await;
    other.abort();
    until("one waits", async || waiting() == Some(1.0)).await;
    clock.advance(Duration::from_secs(60));
    assert!(one.await?);
    assert_eq!(waiting(), Some(0.0));
    Ok(())
}
