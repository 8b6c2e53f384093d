//! Limits of tenants: each in a Redis of its own, and limits that are values, which other processes change.

use axum::{
    Router,
    body::Body,
    http::{Request, request::Parts},
    routing::get,
};
use tests::until;
use tower::ServiceExt;
use traffik::{
    Client, DefaultIdentity, Rate, Settings, SlidingWindowCounter, Throttle, Throttled, Traffik, limit_layer,
};
use traffik_redis::RedisBackend;

use crate::{PLENTY, Result, builder, server::Server};

struct Api;

impl Throttle for Api {
    const UID: &'static str = "tenants:api";
    const RATE: Rate = Rate::literal("2/30d");
    type Identity = DefaultIdentity;

    fn settings() -> Settings {
        let tenant =
            |parts: &Parts| parts.headers.get("x-tenant").and_then(|name| name.to_str().ok()).map(str::to_owned);
        Settings::new()
            .strategy(SlidingWindowCounter)
            .identity(|_| Client::from("alice"))
            .backend_of(move |parts| tenant(parts).unwrap_or_else(|| "default".to_owned()))
    }
}

async fn status(app: &Router, tenant: &str) -> Result<u16> {
    let request = Request::get("/").header("x-tenant", tenant).body(Body::empty())?;
    Ok(app.clone().oneshot(request).await?.status().as_u16())
}

#[tokio::test]
async fn requests_are_counted_in_the_redis_of_their_tenant() -> Result {
    let (acme, globex) = (Server::start()?, Server::start()?);
    let own = traffik::MemoryBackend::new("test:redis");
    let app = async || -> Result<Traffik> {
        let builder = Traffik::builder(own.clone()).backend_timeout(PLENTY);
        let builder = builder.backend("acme", crate::builder(&acme).connect().await?);
        Ok(builder.backend("globex", crate::builder(&globex).connect().await?).register::<Api>().build()?)
    };
    let (here, there) = (app().await?, app().await?);
    let router = |traffik: &Traffik| Router::new().route("/", get(|_: Throttled<Api>| async {})).layer(traffik.layer());
    assert_eq!([status(&router(&here), "acme").await?, status(&router(&there), "acme").await?], [200, 200]);
    assert_eq!([status(&router(&here), "acme").await?, status(&router(&there), "globex").await?], [429, 200]);
    assert_eq!((acme.raw()?.keys()?.len(), globex.raw()?.keys()?.len(), own.len()), (1, 1, 0));

    let permit = here.limiter::<Api>("alice").backend("globex").check().await?;
    permit.settle(0).await?;
    let api = there.limit(Api::UID)?;
    assert_eq!(api.in_backend("globex")?.peek("alice").await?.tightest().remaining(), 1);
    api.reset("alice").await?;
    assert!(acme.raw()?.keys()?.is_empty() && globex.raw()?.keys()?.is_empty());

    // An outage of one tenant is none of the other.
    drop(acme);
    assert_eq!([status(&router(&there), "acme").await?, status(&router(&here), "globex").await?], [503, 200]);
    Ok(())
}

#[tokio::test]
async fn added_limit_is_shared_and_changed_by_another_process() -> Result {
    const UID: &str = "tenant:acme";
    let server = Server::start()?;
    let app = |backend: RedisBackend| {
        let rate = Rate::literal("3/30d");
        Traffik::builder(backend)
            .backend_timeout(PLENTY)
            .add_limit(UID, rate, Settings::new().identity(|_| Client::from("alice")))
            .build()
    };
    let (here, there) = (app(builder(&server).connect().await?)?, app(builder(&server).connect().await?)?);
    let _ = here.limiter_of(UID, "alice").check().await?;
    let router = Router::new().route("/", get(|| async {})).layer(limit_layer(UID)).layer(there.layer());
    assert_eq!(status(&router, "").await?, 200);
    here.shared().limit(UID)?.set_rate(Rate::literal("2/30d")).await?;
    until("the other process applies it", async || {
        there.limit(UID).and_then(|limit| limit.info()).is_ok_and(|info| info.rate().value() == Rate::literal("2/30d"))
    })
    .await;
    assert_eq!(status(&router, "").await?, 429);
    // One that comes back finds its counts and the change.
    there.remove_limit(UID)?;
    assert_eq!(status(&router, "").await?, 500);
    there.add_limit(UID, Rate::literal("9/30d"), Settings::new().identity(|_| Client::from("alice")))?;
    assert_eq!(status(&router, "").await?, 429);
    here.shared().limit(UID)?.clear().await?;
    until("it is removed", async || {
        there.limit(UID).and_then(|limit| limit.info()).is_ok_and(|info| info.rate().value() == Rate::literal("9/30d"))
    })
    .await;
    assert_eq!(there.limiter_of(UID, "alice").check().await?.tightest().remaining(), 6);
    Ok(())
}
