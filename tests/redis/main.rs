//! Tests of the Redis backend with real servers, which the tests start and stop.

#[macro_use]
#[path = "../it/throttles.rs"]
mod throttles;

mod accounting;
mod admin;
mod batching;
mod changes;
mod cluster;
mod conformance;
mod connecting;
mod control;
mod error_replies;
mod exactly;
mod faults;
mod grants;
mod link;
mod log;
mod logs;
mod lost_answers;
mod messages;
mod metrics;
#[path = "../it/model.rs"]
#[allow(dead_code, reason = "the shared strategies use a part of it")]
mod model;
mod observe;
mod own;
mod parity;
mod permissions;
mod permits;
mod plans;
mod queue;
mod raw;
mod recovery;
mod refusal_cache;
#[path = "../it/ws/rig.rs"]
#[allow(dead_code, reason = "a part of it is needed here")]
mod rig;
#[path = "../it/metrics/scrape.rs"]
#[allow(dead_code, reason = "a part of it is needed here")]
mod scrape;
mod sentinels;
mod server;
mod stalled;
mod storage;
mod tenants;
mod traps;
mod waiting;

use std::time::Duration;

use tests::limit;
use traffik::{
    Rate,
    backend::{Backend, BackendError},
    client::Key,
    decision::{Hit, Outcome},
    strategy::AnyStrategy,
};
use traffik_redis::{RedisBackend, RedisBackendBuilder};

use self::server::Server;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A deadline that a busy machine can meet.
const PLENTY: Duration = Duration::from_secs(10);

/// Returns a backend with that deadline.
fn builder(server: &Server) -> RedisBackendBuilder {
    RedisBackend::builder(server.url()).namespace("test:redis").command_timeout(PLENTY)
}

/// One client's hits on one limit.
struct Client {
    key: Key,
    strategy: AnyStrategy,
    rate: Rate,
}

impl Client {
    fn new(name: &'static str, strategy: impl Into<AnyStrategy>, rate: &'static str) -> Result<Self> {
        Ok(Self { key: Key::from(name), strategy: strategy.into(), rate: rate.parse()? })
    }

    fn hit(&self, cost: u64) -> Hit<'_> {
        Hit::new(limit("limit", &self.strategy), &self.key, self.rate, cost)
    }

    async fn decide(&self, backend: &RedisBackend, cost: u64) -> std::result::Result<Outcome, BackendError> {
        let decision = backend.decide(&[self.hit(cost)]).await?;
        decision.outcomes().first().cloned().ok_or_else(|| BackendError::unavailable("no outcome"))
    }
}
