//! A login with two limits: one for each address, and one for each account of the body.

use axum::{
    Json, RequestPartsExt, Router,
    body::to_bytes,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::future::join_all;
use serde_json::Value;
use traffik::{Limiter, Settings, ThrottleRejection, Throttled, refund_if, throttled};

use super::{Result, remaining};
use crate::http::{
    app::{throttle, traffik},
    server::{Reply, Server},
};

throttle!(Address, "login:by_hand", "5/min", Settings::new().refund_if(refund_if::success));
throttle!(Account, "login:account", "10/hour", Settings::new().refund_if(refund_if::success));

const WRONG: &str = r#"{"name":"alice","password":"wrong"}"#;
const RIGHT: &str = r#"{"name":"alice","password":"secret"}"#;

fn text<'l>(login: &'l Value, name: &str) -> &'l str {
    login.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn outcome(login: &Value) -> StatusCode {
    if text(login, "password") == "secret" { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}

/// The address is checked before the body is read, the account after.
#[throttled("login:address", "5/min", refund_if = refund_if::success)]
async fn login(
    account: Limiter<Account>,
    Json(login): Json<Value>,
) -> std::result::Result<StatusCode, ThrottleRejection> {
    let _ = account.client(text(&login, "name").to_owned()).check().await?;
    Ok(outcome(&login))
}

/// The body is read first.
async fn login_by_hand(request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1024).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let Ok(login) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    match parts.extract::<Throttled<Address>>().await {
        Ok(_) => outcome(&login).into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn attempt(server: &Server, body: &'static str) -> Reply {
    server.send(Request::post("/").header("content-type", "application/json"), body).await
}

#[tokio::test]
async fn failures_count_for_the_address_and_for_the_account() -> Result {
    let (traffik, clock) = traffik();
    let server = Server::start(Router::new().route("/", post(login)).layer(traffik.layer())).await;
    for _ in 0..20 {
        assert_eq!(attempt(&server, RIGHT).await.status, 204, "successes are free");
    }
    // Five failures a minute by the address.
    let wrong = join_all((0..20).map(|_| attempt(&server, WRONG))).await;
    assert_eq!(wrong.iter().filter(|reply| reply.status == 401).count(), 5);
    assert_eq!(wrong.iter().filter(|reply| reply.status == 429).count(), 15);
    assert_eq!(remaining::<Account>(&traffik, "alice").await?, 5);

    // Ten an hour for the account, from any address.
    clock.advance(std::time::Duration::from_secs(60));
    let other = server.from("127.0.0.2".parse()?);
    for _ in 0..5 {
        assert_eq!(attempt(&other, WRONG).await.status, 401);
    }
    let refused = attempt(&server, RIGHT).await;
    assert_eq!((refused.status, refused.problem("violated-policies")), (429, serde_json::json!(["login:account"])));
    let state = refused.state().ok_or("no field")?;
    assert!(state.contains(r#""login:address";r=5"#), "the refusal of the account is free for the address: {state}");
    Ok(())
}

#[tokio::test]
async fn argument_is_extracted_after_the_body() -> Result {
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", post(login_by_hand)).layer(traffik.layer())).await;
    assert_eq!(attempt(&server, RIGHT).await.status, 204);
    for status in [401, 401, 401, 401, 401, 429] {
        assert_eq!(attempt(&server, WRONG).await.status, status);
    }
    Ok(())
}
