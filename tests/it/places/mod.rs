//! Limits on how many are there at once: a place is held for as long as somebody is there, and by nobody afterwards.

mod calls;
mod crowd;
mod ending_early;
mod hanging_up;
mod holding;
mod outages;
mod over_http;
mod renewing;
mod sockets;
mod timerless;

use std::time::Duration;

use traffik::{Throttle, Traffik};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A throttle of so many places for each client.
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

/// How many places are free.
async fn free<T: Throttle>(traffik: &Traffik, client: impl Into<traffik::Client>) -> u64 {
    traffik
        .limiter::<T>(client)
        .peek()
        .await
        .map_or(u64::MAX, |limits| limits.tightest().remaining().units().unwrap_or(u64::MAX))
}

/// Waits until so many are free, by the clock on the wall: what is told of here is a moment away.
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

/// Lets other tasks run for as long as they have something to do.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
