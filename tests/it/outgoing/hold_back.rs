//! Responses that ask for a pause.

use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use traffik::{Traffik, outgoing::OutgoingError, test::ManualClock};

use super::{Api, Client, Many, Result, call, traffik, waits};

const URI: &str = "http://api.example.com/x";
const LONG: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);

/// Returns a client whose last call was answered so.
async fn answered(status: StatusCode, retry_after: &str) -> Result<(Api, Client, Traffik, ManualClock)> {
    let (traffik, clock) = traffik()?;
    let api = Api::default();
    let client = api.client(&traffik.outgoing::<Many>().wait(LONG));
    api.answers_next(status, retry_after)?;
    assert_eq!(call(&client, URI)?.await?.status(), status, "the response is returned as it is");
    Ok((api, client, traffik, clock))
}

/// Checks that calls go on after two minutes, and not before.
async fn assert_held_back(api: &Api, client: &Client, clock: &ManualClock) -> Result {
    let (first, second) = (waits(client, URI)?, waits(client, URI)?);
    clock.advance(120 * SECOND - Duration::from_micros(1));
    tests::until_idle().await;
    let third = waits(client, URI)?;
    assert_eq!(api.calls(), 1);
    clock.advance(Duration::from_micros(1));
    for waiting in [first, second, third] {
        waiting.await?;
    }
    call(client, URI)?.await?;
    assert_eq!(api.calls(), 5);
    Ok(())
}

#[tokio::test]
async fn retry_after_holds_calls_back() -> Result {
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        let (api, client, _, clock) = answered(status, "120").await?;
        assert_held_back(&api, &client, &clock).await?;
    }
    Ok(())
}

#[tokio::test]
async fn retry_after_may_be_a_date() -> Result {
    let now = Duration::from_micros(traffik()?.0.clock().wall_clock().as_micros());
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + now + 120 * SECOND);
    let (api, client, _, clock) = answered(StatusCode::TOO_MANY_REQUESTS, &date).await?;
    assert_held_back(&api, &client, &clock).await
}

#[tokio::test]
async fn other_responses_hold_no_call_back() -> Result {
    for (status, retry_after) in [(301, "120"), (200, "120"), (429, "soon"), (503, "0")] {
        let (_, client, ..) = answered(StatusCode::from_u16(status)?, retry_after).await?;
        call(&client, URI)?.await?;
    }
    Ok(())
}

#[tokio::test]
async fn other_keys_and_checks_are_not_held_back() -> Result {
    let (_, client, traffik, _) = answered(StatusCode::TOO_MANY_REQUESTS, "120").await?;
    call(&client, "http://other.example.com/")?.await?;
    let _ = traffik.limiter::<Many>("api.example.com").wait(SECOND).check().await?;
    Ok(())
}

#[tokio::test]
async fn call_that_would_be_held_back_too_long_is_not_made() -> Result {
    let (api, _, traffik, clock) = answered(StatusCode::TOO_MANY_REQUESTS, "120").await?;
    let hasty = api.client(&traffik.outgoing::<Many>());
    clock.advance(80 * SECOND);
    let error = call(&hasty, URI)?.await.err().ok_or("it was made")?;
    assert!(matches!(error, OutgoingError::HeldBack { .. }), "{error}");
    assert_eq!(error.retry_after(), Some(40 * SECOND));
    clock.advance(10 * SECOND);
    let waiting = waits(&hasty, URI)?;
    clock.advance(30 * SECOND);
    waiting.await?;
    Ok(())
}

#[tokio::test]
async fn waiting_calls_are_told_when_they_are_held_back_too_long() -> Result {
    let (traffik, clock) = traffik()?;
    let api = Api::default();
    let layer = traffik.outgoing::<super::One>();
    let (patient, hasty) = (api.client(&layer.clone().wait(LONG)), api.client(&layer.wait(130 * SECOND)));
    call(&patient, URI)?.await?;
    let (head, second, third) = (waits(&patient, URI)?, waits(&patient, URI)?, waits(&hasty, URI)?);
    clock.advance(60 * SECOND);
    api.answers_next(StatusCode::SERVICE_UNAVAILABLE, "100")?;
    assert_eq!(head.await?.status(), StatusCode::SERVICE_UNAVAILABLE);
    let error = third.await.err().ok_or("it was made")?;
    assert_eq!(error.retry_after(), Some(100 * SECOND), "{error}");
    clock.advance(100 * SECOND);
    second.await?;
    Ok(())
}

#[tokio::test]
async fn pause_has_a_maximum() -> Result {
    let (traffik, clock) = traffik()?;
    for (max, pause) in [(None, 3600 * SECOND), (Some(5 * SECOND), 5 * SECOND), (Some(Duration::ZERO), Duration::ZERO)]
    {
        let api = Api::default();
        let layer = traffik.outgoing::<Many>().wait(LONG);
        let client = api.client(&max.map_or(layer.clone(), |max| layer.max_hold_back(max)));
        api.answers_next(StatusCode::TOO_MANY_REQUESTS, "99999999999999999999")?;
        call(&client, URI)?.await?;
        if !pause.is_zero() {
            let waiting = waits(&client, URI)?;
            clock.advance(pause);
            waiting.await?;
        }
        call(&client, URI)?.await?;
    }
    Ok(())
}
