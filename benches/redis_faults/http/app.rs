//! An app as in production: its limits are in Redis, and in memory while Redis is away.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{Router, response::IntoResponse, routing::get};
use tokio::{net::TcpListener, task::JoinSet};
use traffik::{
    Throttle, Throttled, Traffik, TraffikBuilder, backend::MemoryBackend, breaker::CircuitBreaker, on_error::Failover,
};
use traffik_redis::RedisBackend;

use crate::{Result, decided_by};

/// The maximum time of a decision, including retries and the fallback.
pub(super) const BUDGET: Duration = TraffikBuilder::DEFAULT_BACKEND_TIMEOUT;

/// How long the breaker stays open.
pub(super) const RECOVERY_TIMEOUT: Duration = Duration::from_millis(500);

/// A limit that is never reached.
#[derive(Throttle)]
#[limit("faults:ample", "1000000/s")]
struct Ample;

/// A limit that is exceeded most of the time.
#[derive(Throttle)]
#[limit("faults:scarce", "100/s")]
struct Scarce;

async fn ample(permit: Throttled<Ample>) -> impl IntoResponse {
    (decided_by::field(permit.limits()), "there you are")
}

async fn scarce(permit: Throttled<Scarce>) -> impl IntoResponse {
    (decided_by::field(permit.limits()), "there you are")
}

/// An app that serves until it is closed or dropped.
pub(super) struct App {
    pub(super) address: SocketAddr,
    pub(super) breaker: CircuitBreaker,
    traffik: Traffik,
    _serving: JoinSet<std::io::Result<()>>,
}

impl App {
    pub(super) async fn serve(redis: RedisBackend) -> Result<Self> {
        let breaker = CircuitBreaker::builder().failure_threshold(10).recovery_timeout(RECOVERY_TIMEOUT);
        let breaker = breaker.success_threshold(3).build()?;
        let failover = Failover::to(MemoryBackend::new("faults:fallback")).breaker(breaker.clone()).retries(2);
        let builder = Traffik::builder(redis).backend_timeout(BUDGET).on_error(failover);
        let traffik = builder.responder(decided_by::refusal).build()?;
        let routes = Router::new().route("/ample", get(ample)).route("/scarce", get(scarce)).layer(traffik.layer());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, mut serving) = (listener.local_addr()?, JoinSet::new());
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        serving.spawn(axum::serve(listener, service).into_future());
        Ok(Self { address, breaker, traffik, _serving: serving })
    }

    pub(super) async fn close(self) -> Result {
        Ok(self.traffik.close().await?)
    }
}
