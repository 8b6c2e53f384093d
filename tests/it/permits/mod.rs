//! Concurrency limits: a permit is held as long as its request runs, and not afterwards.

mod calls;
mod contention;
mod disconnects;
mod ending_early;
mod holding;
mod outages;
mod over_http;
mod renewals;
mod sockets;
mod timerless;

use std::time::Duration;

use traffik::{Throttle, Traffik};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Declares a throttle with this many permits for each client.
macro_rules! places {
    ($name:ident, $uid:literal, $rate:literal) => {
        crate::http::app::throttle!(
            $name,
            $uid,
            $rate,
            ::traffik::Settings::new().strategy(::traffik::strategy::Concurrency),
            ::traffik::DefaultIdentity
        );
    };
}
use places;

/// Returns the number of free permits.
async fn free<T: Throttle>(traffik: &Traffik, client: impl Into<traffik::Client>) -> u64 {
    traffik
        .limiter::<T>(client)
        .peek()
        .await
        .map_or(u64::MAX, |limits| limits.tightest().remaining().units().unwrap_or(u64::MAX))
}

/// Waits until this many permits are free, in real time: the release happens in another task.
async fn until_free<T: Throttle>(traffik: &Traffik, client: impl Into<traffik::Client>, places: u64) {
    let client = client.into();
    for _ in 0..2000 {
        if free::<T>(traffik, client.clone()).await == places {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(free::<T>(traffik, client).await, places, "after ten seconds");
}

/// Lets other tasks run as long as they have work.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
