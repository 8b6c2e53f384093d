//! Requests that cannot be answered.

use axum::{body::Body, http::Request};
use tests::admits;
use traffik::{MemoryBackend, Traffik, test::ManualClock};

use super::{Api, Result, SECRET, knowing};
use crate::{
    http::app::throttle,
    on_error::backends::{Mood, Moody},
};

throttle!(Orders, "admin:orders", "5/hour");

#[tokio::test]
async fn unknown_limit_is_a_404_with_similar_ones() -> Result {
    let (_, api, _) = knowing::<Orders>()?;
    for reply in [
        api.get("/limits/admin:order").await?,
        api.patch("/limits/admin:order", r#"{"cost": 1}"#).await?,
        api.get("/events?limit=admin:order").await?,
        api.delete("/limits/admin:order").await?,
    ] {
        let (status, detail) = reply.problem();
        assert!(status == 404 && detail.contains(r#"did you mean one of ["admin:orders""#), "{reply:?}");
    }
    Ok(())
}

#[tokio::test]
async fn wrong_bodies_say_what_is_wrong() -> Result {
    let (traffik, api, _) = knowing::<Orders>()?;
    let path = "/limits/admin:orders";
    for (body, status, text) in [
        (r#"{"rate": "20 a minute"}"#, 422, "100 per minute"),
        (r#"{"rat": "20/min"}"#, 422, "unknown field `rat`, expected one of `rate`, `cost`, `enabled`, `dry_run`"),
        (r#"{"cost": -1}"#, 422, "invalid value: integer `-1`"),
        (r#"{"cost": "1"}"#, 422, "expected u64"),
        (r#"{"rate": "20/min""#, 400, "EOF"),
        ("{}", 422, "the change is empty: set at least one of"),
        ("[]", 422, "invalid type: sequence, expected an object"),
        (r#"["20/min", 2]"#, 422, "invalid type: sequence, expected an object"),
        ("null", 422, "invalid type: null, expected an object"),
    ] {
        let reply = api.patch(path, body).await?;
        assert!(reply.problem().0 == status && reply.problem().1.contains(text), "{body}: {reply:?}");
    }
    assert_eq!(api.patch(path, "").await?.status, 422);
    let missing = api.post("/limits/admin:orders/block", "").await?;
    assert!(missing.status == 422 && missing.problem().1.contains("missing field `client`"), "{missing:?}");
    let unknown = api.post("/limits/admin:orders/enable", r#"{"for": "1m"}"#).await?;
    assert!(unknown.status == 422 && unknown.problem().1.contains("unknown field `for`"), "{unknown:?}");
    assert_eq!(traffik.limit("admin:orders")?.info()?.cost().value(), 1);
    Ok(())
}

#[tokio::test]
async fn wrong_queries_say_what_is_wrong() -> Result {
    let (traffik, api, _) = knowing::<Orders>()?;
    for (query, text) in [("scope=all", "expected `local` or `shared`"), ("scop=local", "unknown field `scop`")] {
        let reply = api.patch(&format!("/limits/admin:orders?{query}"), r#"{"cost": 2}"#).await?;
        assert!(reply.problem().0 == 400 && reply.problem().1.contains(text), "{reply:?}");
    }
    for path in ["/clear-changes", "/refresh", "/health/check", "/limits-file/reload"] {
        let reply = api.post(&format!("{path}?scope=local"), "").await?;
        assert!(reply.problem().0 == 400 && reply.problem().1.contains("unknown field `scope`"), "{path}: {reply:?}");
        let reply = api.post(path, r#"{"scope": "local"}"#).await?;
        assert!(reply.problem().0 == 422 && reply.problem().1.contains("unknown field `scope`"), "{path}: {reply:?}");
    }
    let outcome = api.get("/events?outcome=rejected").await?;
    assert!(outcome.problem().0 == 400 && outcome.problem().1.contains("use one of admitted, refused"), "{outcome:?}");
    assert_eq!(traffik.limit("admin:orders")?.info()?.cost().value(), 1);
    Ok(())
}

#[tokio::test]
async fn bodies_are_bounded_and_declared() -> Result {
    let (_, api, _) = knowing::<Orders>()?;
    let long = format!(r#"{{"client": "alice", "reason": "{}"}}"#, "x".repeat(16 * 1024));
    let refused = api.post("/limits/admin:orders/block", &long).await?;
    assert_eq!(refused.problem(), (413, "the body has more than 16384 bytes: shorten it"));
    let fits = format!(r#"{{"client": "alice", "reason": "{}"}}"#, "x".repeat(16 * 1000));
    assert_eq!(api.post("/limits/admin:orders/block", &fits).await?.status, 200);
    let form = Request::post("/admin/limits/admin:orders/disable")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Bearer {SECRET}"))
        .body(Body::from(r#"{"for": "1m"}"#))?;
    let Ok(response) = tower::ServiceExt::oneshot(api.router.clone(), form).await;
    assert_eq!(response.status(), 415);
    Ok(())
}

#[tokio::test]
async fn empty_body_of_undeclared_length_is_no_body() -> Result {
    let (traffik, api, _) = knowing::<Orders>()?;
    let body = Body::from_stream(futures_util::stream::empty::<std::io::Result<&str>>());
    let disable = Request::post("/admin/limits/admin:orders/disable?scope=local")
        .header("authorization", format!("Bearer {SECRET}"))
        .body(body)?;
    let Ok(response) = tower::ServiceExt::oneshot(api.router.clone(), disable).await;
    assert_eq!(response.status(), 200);
    assert!(!traffik.limit("admin:orders")?.info()?.enabled().value());
    Ok(())
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() -> Result {
    let (_, api, _) = knowing::<Orders>()?;
    assert_eq!(
        api.get("/limit").await?.problem(),
        (404, "there is no such path: see the documentation of traffik::admin")
    );
    assert_eq!(api.post("/limits", "").await?.problem(), (405, "the path has no method POST"));
    assert_eq!(api.get("/limits-file").await?.status, 404);
    assert_eq!(api.post("/limits-file/reload", "").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn backend_without_an_answer_is_a_503_and_local_changes_still_hold() -> Result {
    let backend = Moody::new(&ManualClock::new());
    let traffik = Traffik::builder(backend.clone()).register::<Orders>().build()?;
    let api = Api::new(&traffik)?;
    backend.is(Mood::IsAway);
    let refused = api.patch("/limits/admin:orders", r#"{"cost": 2}"#).await?;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(api.post("/limits/admin:orders/reset", r#"{"client": "alice"}"#).await?.status, 503);
    assert_eq!(api.post("/disable-all?scope=local", "").await?.status, 200);
    assert!(admits::<Orders>(&traffik, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn limits_of_the_app_do_not_keep_an_operator_out() -> Result {
    let traffik = Traffik::builder(MemoryBackend::new("test")).register::<Orders>().build()?;
    let api = Api::new(&traffik)?;
    api.patch("/limits/admin:orders?scope=local", r#"{"rate": "1/hour"}"#).await?;
    for _ in 0..20 {
        let reply = api.get("").await?;
        assert_eq!((reply.status, reply.header("ratelimit")), (200, None));
    }
    Ok(())
}
