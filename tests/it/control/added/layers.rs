//! Layers of limits that were added.

use axum::{
    Router,
    http::{Request, StatusCode, request::Parts},
    middleware::{Next, from_fn},
    routing::get,
};
use traffik::{
    Bypass, Concurrency, LimitLayer, Limits, MemoryBackend, Rule, Settings, TokenBucket, Traffik, limit_layer,
    limit_layer_of, refund_if, test::ManualClock,
};

use super::{FIVE, Result, TWO, UID, traffik, with_limit};
use crate::http::server::Server;

async fn serving(traffik: &Traffik, layer: LimitLayer) -> Server {
    let app = Router::new().route("/", get(|| async {})).route("/fail", get(|| async { StatusCode::BAD_GATEWAY }));
    async fn admitted(request: axum::extract::Request) -> String {
        Limits::met_by(request.extensions()).is_none_or(|limits| limits.is_admitted()).to_string()
    }
    Server::start(app.route("/limits", get(admitted)).layer(layer).layer(traffik.layer())).await
}

#[tokio::test]
async fn layer_limits_its_routes_and_shows_the_limit() -> Result {
    let (traffik, _) = with_limit()?;
    let server = serving(&traffik, limit_layer(UID)).await;
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.state()), (200, Some(r#""tenant:acme";r=1;t=3600"#)));
    assert_eq!(server.get("/fail").await.status, 502);
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3600")));
    traffik.limit(UID)?.set_rate(FIVE)?;
    assert_eq!(server.get("/").await.state(), Some(r#""tenant:acme";r=2;t=3600"#));
    Ok(())
}

#[tokio::test]
async fn layer_of_a_removed_limit_lets_no_request_pass() -> Result {
    let (traffik, _) = with_limit()?;
    let server = serving(&traffik, limit_layer(UID)).await;
    assert_eq!(server.get("/").await.status, 200);
    traffik.remove_limit(UID)?;
    let reply = server.get("/").await;
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("tenant:acme") && reply.body.contains("Traffik::add_limit"), "{}", reply.body);
    traffik.add_limit(UID, FIVE, Settings::new())?;
    assert_eq!(server.get("/").await.state(), Some(r#""tenant:acme";r=3;t=3600"#));
    Ok(())
}

#[tokio::test]
async fn layer_finds_the_limit_of_each_request() -> Result {
    fn tenant(parts: &Parts) -> String {
        let tenant = parts.headers.get("x-tenant").and_then(|tenant| tenant.to_str().ok());
        format!("tenant:{}", tenant.unwrap_or("none"))
    }
    let (traffik, _) = with_limit()?;
    traffik.add_limit("tenant:globex", FIVE, Settings::new())?;
    let server = serving(&traffik, limit_layer_of(tenant)).await;
    let of = |tenant: &str| server.send(Request::get("/").header("x-tenant", tenant), "");
    assert_eq!(of("acme").await.state(), Some(r#""tenant:acme";r=1;t=3600"#));
    assert_eq!(of("globex").await.state(), Some(r#""tenant:globex";r=4;t=3600"#));
    assert_eq!((of("initech").await.status, server.get("/").await.status), (500, 500));
    Ok(())
}

#[tokio::test]
async fn limits_of_a_layer_are_one_decision() -> Result {
    let (traffik, _) = with_limit()?;
    traffik.add_limit("tenant:all", "1/hour".parse()?, Settings::new())?;
    let server = serving(&traffik, limit_layer("tenant:all").and(UID).and_of(|_| UID)).await;
    let statuses = [server.get("/").await.status, server.get("/").await.status];
    assert_eq!(statuses, [200, 429]);
    let left = traffik.limiter_of(UID, crate::http::app::HERE).peek().await?;
    assert_eq!(left.tightest().remaining(), 1, "a limit that is named twice is charged once, and not by a refusal");
    Ok(())
}

#[tokio::test]
async fn rules_refunds_and_marks_of_a_layer_hold_for_its_limits() -> Result {
    let (traffik, _) = with_limit()?;
    let layer = limit_layer(UID).refund_if(refund_if::server_error).bypass(Bypass::path("/limits"));
    let server = serving(&traffik, layer.rule(Rule::methods([axum::http::Method::GET]))).await;
    for _ in 0..3 {
        assert_eq!(server.get("/fail").await.state(), Some(r#""tenant:acme";r=2"#));
    }
    assert_eq!(server.get("/limits").await.state(), None);
    let marking = serving(&traffik, limit_layer(UID).mark()).await;
    let passed = [marking.get("/limits").await, marking.get("/limits").await, marking.get("/limits").await];
    assert_eq!(passed.map(|reply| reply.body), ["true", "true", "false"]);
    let wrong = serving(&traffik, limit_layer(UID).rule(Rule::path("no slash"))).await;
    assert_eq!(wrong.get("/").await.status, 500);
    Ok(())
}

#[tokio::test]
async fn permit_of_an_added_limit_is_held_for_the_request() -> Result {
    let (traffik, _) = traffik();
    traffik.add_limit("open:requests", "1/30s".parse()?, Settings::new().strategy(Concurrency))?;
    let server = serving(&traffik, limit_layer("open:requests")).await;
    assert_eq!([server.get("/").await.status, server.get("/").await.status], [200, 200]);
    let permit = traffik.limiter_of("open:requests", crate::http::app::HERE).check().await?;
    assert_eq!(server.get("/").await.status, 429);
    drop(permit);
    assert_eq!(server.get("/").await.status, 200);
    Ok(())
}

#[tokio::test]
async fn request_that_meets_a_limit_before_and_after_it_is_replaced_is_charged_once_in_each_entry() -> Result {
    // Another strategy or backend has another entry, so each of the two is charged once.
    for settings in [Settings::new(), Settings::new().strategy(TokenBucket::new()), Settings::new().backend("other")] {
        let clock = ManualClock::new();
        let [own, other] = [(); 2].map(|()| MemoryBackend::with_clock("test", clock.clone()));
        let builder = Traffik::builder(own).backend("other", other).add_limit(UID, TWO, Settings::new());
        let traffik = builder.build()?;
        let (replacing, new) = (traffik.clone(), settings.clone());
        let replace = from_fn(move |request: axum::extract::Request, next: Next| {
            let replaced = replacing.replace_limit(UID, FIVE, new.clone());
            async move { if replaced.is_ok() { Ok(next.run(request).await) } else { Err(StatusCode::BAD_GATEWAY) } }
        });
        let app = Router::new().route("/", get(|| async {})).layer(limit_layer(UID)).layer(replace);
        let server = Server::start(app.layer(limit_layer(UID)).layer(traffik.layer())).await;
        assert_eq!(server.get("/").await.status, 200);
        let left = traffik.limiter_of(UID, crate::http::app::HERE).peek().await?;
        assert_eq!(left.tightest().remaining(), 4, "{settings:?}");
    }
    Ok(())
}
