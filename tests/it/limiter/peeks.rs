//! Looking without charging.

use axum::{Json, Router, routing::get};
use traffik::{MemoryBackend, Peek, Rate, Rule, Settings, Throttled, Traffik, on_error::Fallback, test::ManualClock};

use super::{Result, remaining};
use crate::http::{
    app::{HERE, throttle, traffik},
    backends::Unsteady,
    server::Server,
};

throttle!(Search, "peeks:search", "10/min");
throttle!(Service, "peeks:service", "1000/min", Settings::new().hidden());
throttle!(Export, "peeks:export", "5/min");
throttle!(Costly, "peeks:costly", "10/min", Settings::new().cost(4).rate_of(|_, _| Rate::literal("6/min")));
throttle!(Writes, "peeks:writes", "10/min", Settings::new().rule(Rule::methods([axum::http::Method::POST])));

async fn usage(usage: Peek<(Search, Export)>) -> String {
    usage.iter().map(|limit| format!("{} {} of {};", limit.uid(), limit.remaining(), limit.capacity())).collect()
}

#[tokio::test]
async fn peek_shows_what_the_next_request_meets_and_charges_nothing() -> Result {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/usage", get(usage))
        .route(
            "/search",
            get(|_: Throttled<Search>, usage: Peek<Search>| async move { usage.tightest().remaining().to_string() }),
        )
        .layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/search").await.body, "9", "after what this request was charged");
    for _ in 0..20 {
        let reply = server.get("/usage").await;
        assert_eq!((reply.status, &*reply.body), (200, "peeks:search 9 of 10;peeks:export 5 of 5;"));
        assert_eq!(reply.state(), None);
    }
    assert_eq!(remaining::<Search>(&traffik, HERE).await?, 9);
    Ok(())
}

#[tokio::test]
async fn peek_is_a_route_in_one_line() -> Result {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|usage: Peek<(Service, Search)>| async { Json(usage.into_limits()) }));
    let usage = Server::start(app.layer(traffik.layer())).await.get("/").await;
    let limits = usage.problem("limits");
    assert_eq!(limits.pointer("/0/remaining"), Some(&serde_json::json!(10)), "{}", usage.body);
    assert_eq!(limits.as_array().map(Vec::len), Some(1), "a hidden limit is not shown");
    Ok(())
}

#[tokio::test]
async fn peek_goes_by_the_rules_the_cost_and_the_rate_of_the_throttle() -> Result {
    async fn costly(_: Throttled<Costly>, costly: Peek<Costly>, writes: Peek<Writes>) -> String {
        let limit = costly.tightest();
        format!(
            "{} {} {:?} {}",
            limit.capacity(),
            costly.is_admitted(),
            limit.retry_after(),
            writes.tightest().is_counted()
        )
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(costly)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.body, "6 false Some(60s) false", "2 of 6 are left, and the next costs 4");
    Ok(())
}

#[tokio::test]
async fn peek_of_a_backend_that_is_away_is_a_503_unless_there_is_a_fallback() -> Result {
    let clock = ManualClock::new();
    let backend = Unsteady::new(MemoryBackend::with_clock("test", clock.clone()));
    let app = |traffik: &Traffik| Router::new().route("/", get(usage)).layer(traffik.layer());
    let traffik = Traffik::new(backend.clone())?;
    let standby = Traffik::builder(backend.clone())
        .on_error(Fallback::to(MemoryBackend::with_clock("standby", clock.clone())))
        .build()?;
    backend.fails();
    assert_eq!(Server::start(app(&traffik)).await.get("/").await.status, 503);
    let reply = Server::start(app(&standby)).await.get("/").await;
    assert_eq!((reply.status, &*reply.body), (200, "peeks:search 10 of 10;peeks:export 5 of 5;"));
    Ok(())
}
