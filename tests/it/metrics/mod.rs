//! Metrics, as Prometheus reads them.

mod backends;
mod charges;
mod decisions;
mod guide;
mod queues;
#[path = "../../../traffik-redis/src/instruments/table.rs"]
mod redis_table;
pub(crate) mod scrape;
#[path = "../../../traffik/src/observe/instruments/table.rs"]
mod table;

use traffik::{
    DefaultIdentity, LeakyBucketWithQueue, Rate, Settings, Throttle, TraffikBuilder,
    strategy::{Concurrency, SlidingWindowCounter},
    test::ManualClock,
};

use self::scrape::Recorded;
use crate::http::app::builder;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

throttles! {
    Two: "metrics:two", "2/min", Settings::new();
    Five: "metrics:five", "5/min", Settings::new();
    Rest: "metrics:rest", "1000/min", Settings::new();
    Free: "metrics:free", "2/min", Settings::new().cost(0);
    Tokens: "metrics:tokens", "100/min", Settings::new().strategy(SlidingWindowCounter);
    Pair: "metrics:pair", "2/30s", Settings::new().strategy(Concurrency);
    Queue: "metrics:queue", "1/s", Settings::new().strategy(LeakyBucketWithQueue::new().queue(5));
}

/// Returns a handle that is built before there is a recorder, and its clock.
fn set_up() -> (TraffikBuilder, ManualClock, Recorded) {
    let (builder, clock) = builder();
    (builder, clock, Recorded::begin())
}
