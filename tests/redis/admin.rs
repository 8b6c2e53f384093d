//! Changes over HTTP that all processes share.

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use tests::{admits, until};
use tower::ServiceExt;
use traffik::{
    DefaultIdentity, Rate, Throttle, Traffik,
    admin::{self, Guard},
};

use crate::{Result, builder, server::Server};

struct Search;

impl Throttle for Search {
    const UID: &'static str = "admin:search";
    const RATE: Rate = Rate::literal("5/hour");
    type Identity = DefaultIdentity;
}

const SECRET: &str = "0123456789abcdef";

/// An app with its router, as a process of its own would have it.
struct App {
    traffik: Traffik,
    router: Router,
}

impl App {
    async fn start(server: &Server) -> Result<Self> {
        let traffik = Traffik::builder(builder(server).connect().await?)
            .backend_timeout(crate::PLENTY)
            .register::<Search>()
            .build()?;
        let router = admin::router(&traffik, Guard::bearer(SECRET)?);
        Ok(Self { traffik, router })
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Result<serde_json::Value> {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {SECRET}"));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_owned()))?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        Ok(serde_json::from_slice(&axum::body::to_bytes(response.into_body(), usize::MAX).await?)?)
    }

    fn rate(&self) -> Result<Rate> {
        Ok(self.traffik.limit(Search::UID)?.info()?.rate().value())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_by_one_app_holds_in_the_other_and_outlives_a_restart() -> Result {
    let server = Server::start()?;
    let (here, there) = (App::start(&server).await?, App::start(&server).await?);
    let changed = here.send("PATCH", "/limits/admin:search", r#"{"rate": "20/hour"}"#).await?;
    assert_eq!((&changed["scope"], &changed["outlives_restart"]), (&"shared".into(), &true.into()));
    let raised = Rate::literal("20/hour");
    assert_eq!(here.rate()?, raised);
    until("the rate is in force in the other app", async || there.rate().is_ok_and(|rate| rate == raised)).await;

    there.send("POST", "/limits/admin:search/block", r#"{"client": "mallory", "for": "1h"}"#).await?;
    here.send("POST", "/refresh", "").await?;
    assert!(!admits::<Search>(&here.traffik, "mallory").await? && admits::<Search>(&here.traffik, "alice").await?);

    let local = here.send("PATCH", "/limits/admin:search?scope=local", r#"{"rate": "7/hour"}"#).await?;
    assert_eq!((&local["scope"], &local["outlives_restart"]), (&"local".into(), &false.into()));
    there.send("POST", "/refresh", "").await?;
    assert_eq!((here.rate()?, there.rate()?), (Rate::literal("7/hour"), raised));

    here.traffik.close().await?;
    let restarted = App::start(&server).await?;
    let first = restarted.send("GET", "/", "").await?;
    assert_eq!(first["outlives_restart"]["shared"], true);
    restarted.send("POST", "/refresh", "").await?;
    assert_eq!(restarted.rate()?, raised);
    assert!(!admits::<Search>(&restarted.traffik, "mallory").await?);
    restarted.send("POST", "/disable-all", "").await?;
    until("all limits are disabled in the other app", async || {
        there.traffik.limit(Search::UID).and_then(|limit| limit.info()).is_ok_and(|info| !info.enabled().value())
    })
    .await;
    Ok(())
}
