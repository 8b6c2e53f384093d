//! Concurrency limits in place of a rate.

use std::sync::Arc;

use axum::{Router, routing::get};
use tokio::sync::Semaphore;
use traffik::{Rate, Throttle, throttled};

use crate::server::{Server, field};

static GATE: Semaphore = Semaphore::const_new(0);

#[throttled("at-once:reports", "2 at once")]
async fn reports() -> &'static str {
    let _ = GATE.acquire().await.map(|pass| pass.forget());
    "a report"
}

#[derive(Throttle)]
#[limit("at-once:sockets", "1_000 AT ONCE", cost = 3, settings = |settings| settings.cost(4))]
struct Sockets;

#[test]
fn derived_concurrency_throttle_has_the_default_lease() {
    assert_eq!(Sockets::RATE, Rate::literal("1000/30s"));
    let settings = format!("{:?}", Sockets::settings());
    assert!(settings.contains("Concurrency") && settings.contains("cost: 4"), "{settings}");
}

#[tokio::test]
async fn attribute_holds_the_permit_until_the_handler_returns() {
    let server = Arc::new(Server::start(Router::new().route("/", get(reports))).await);
    let asking = |server: &Arc<Server>| {
        let server = Arc::clone(server);
        tokio::spawn(async move { server.get("/").await.status().as_u16() })
    };
    let two = [asking(&server), asking(&server)];
    // The third request is refused once the first two are running.
    let refused = loop {
        let third = tokio::time::timeout(std::time::Duration::from_millis(50), server.get("/")).await;
        match third {
            Ok(response) => break response,
            // This request arrived before one of the first two. Dropping it released its permit.
            Err(_early) => {}
        }
    };
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(field(&refused, "ratelimit-policy"), r#""at-once:reports";q=2"#);
    GATE.add_permits(2);
    for answer in two {
        assert!(matches!(answer.await, Ok(200 | 429)));
    }
    GATE.add_permits(1);
    assert_eq!(server.get("/").await.status().as_u16(), 200);
}
