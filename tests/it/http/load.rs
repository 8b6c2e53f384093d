//! Many concurrent clients, and clients that disconnect.

use std::sync::Arc;

use axum::{Router, routing::get};
use tokio::{sync::watch, task::JoinSet};
use traffik::{Throttle, Throttled, Traffik};

use super::{
    app::{HERE, throttle, traffik},
    server::Server,
};

throttle!(Narrow, "narrow", "500/hour");
throttle!(Wide, "wide", "900/hour");
throttle!(Slow, "slow", "3/hour");

const CONNECTIONS: usize = 64;
const REQUESTS_EACH: usize = 20;

/// Sends requests on several concurrent connections and returns how many are admitted.
async fn admitted(server: &Server) -> usize {
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let server = server.reconnected();
        clients.spawn(async move {
            let mut admitted = 0;
            for _ in 0..REQUESTS_EACH {
                match server.get("/").await.status {
                    200 => admitted += 1,
                    status => assert_eq!(status, 429),
                }
            }
            admitted
        });
    }
    clients.join_all().await.into_iter().sum()
}

async fn remaining<T: Throttle>(traffik: &Traffik) -> u64 {
    traffik
        .limiter::<T>(HERE)
        .peek()
        .await
        .map_or(u64::MAX, |limits| limits.tightest().remaining().units().unwrap_or(u64::MAX))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_are_admitted_exactly_up_to_the_limit() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Narrow>| async {})).layer(traffik.layer());
    assert_eq!(admitted(&Server::start(app).await).await, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tuple_under_load_admits_the_lower_limit_and_charges_both() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<(Wide, Narrow)>| async {})).layer(traffik.layer());
    assert_eq!(admitted(&Server::start(app).await).await, 500);
    assert_eq!((remaining::<Wide>(&traffik).await, remaining::<Narrow>(&traffik).await), (400, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refusals_under_load_refund_all_charges_of_earlier_arguments() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Wide>, _: Throttled<Narrow>| async {})).layer(traffik.layer());
    assert_eq!(admitted(&Server::start(app).await).await, 500);
    assert_eq!((remaining::<Wide>(&traffik).await, remaining::<Narrow>(&traffik).await), (400, 0));
}

/// Counts the handlers that run.
struct Running(Arc<watch::Sender<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

#[tokio::test]
async fn disconnected_client_stays_charged_and_breaks_nothing() {
    let (traffik, _) = traffik();
    let running = Arc::new(watch::Sender::new(0_usize));
    let forever = {
        let running = Arc::clone(&running);
        move |_: Throttled<Slow>| async move {
            running.send_modify(|running| *running += 1);
            let _running = Running(running);
            std::future::pending::<()>().await;
        }
    };
    let app = Router::new()
        .route("/forever", get(forever))
        .route("/", get(|_: Throttled<Slow>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let stream = server.open("GET /forever HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    running.subscribe().wait_for(|running| *running == 1).await.unwrap();
    drop(stream);
    running.subscribe().wait_for(|running| *running == 0).await.unwrap();

    assert_eq!(server.get("/").await.state(), Some(r#""slow";r=1;t=3600"#));
    assert_eq!(server.get("/").await.state(), Some(r#""slow";r=0;t=3600"#));
    assert_eq!(server.get("/").await.status, 429);
}
