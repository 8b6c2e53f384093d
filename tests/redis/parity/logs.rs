//! Logs, short and long: what is told of them, and what later decisions make of what was stored.

use traffik::strategy::{FixedWindow, Gcra, SlidingWindowCounter, SlidingWindowLog, Strategy};

use super::{Choose, follow, size};
use crate::{Result, own::Leases};

#[tokio::test]
async fn sliding_window_log() -> Result {
    follow("sliding window log", |_, _| SlidingWindowLog.into()).await
}

/// The program that knows all strategies, and beside those of a user's own the form that is read and written in Rust.
#[tokio::test]
async fn logs_beside_others() -> Result {
    let any: Choose = |rate, random| {
        let log = SlidingWindowLog.check(rate).is_ok();
        match random.upto(5) {
            0 => FixedWindow.into(),
            1 => SlidingWindowCounter.into(),
            2 => Gcra::new().burst(size(rate, random)).into(),
            3 if Leases.check(rate).is_ok() => traffik::strategy::AnyStrategy::custom(Leases),
            _ if log => SlidingWindowLog.into(),
            _ => FixedWindow.into(),
        }
    };
    follow("logs beside others", any).await
}
