//! Concurrency limits: a permit is held as long as its request runs, and not afterwards.

mod calls;
mod contention;
mod disconnects;
mod ending_early;
mod holding;
mod outages;
mod over_http;
mod removed;
mod renewals;
mod sockets;
mod timerless;

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

/// Waits until this many permits are free: a socket or another task releases them.
async fn until_free<T: Throttle>(traffik: &Traffik, client: impl Into<traffik::Client>, places: u64) {
    let client = client.into();
    let what = format!("{places} permits are free");
    tests::until(&what, async || free::<T>(traffik, client.clone()).await == places).await;
}
