//! Logs, short and long: their answers, and later decisions about the stored state.

use traffik::strategy::{FixedWindow, Gcra, SlidingWindowCounter, SlidingWindowLog, Strategy};

use super::{Choose, follow, size};
use crate::{Result, own::Leases};

#[tokio::test]
async fn sliding_window_log_equals_the_reference() -> Result {
    follow("sliding window log", |_, _| SlidingWindowLog.into()).await
}

/// The program with all strategies, and with custom ones the form that is read and written in Rust.
#[tokio::test]
async fn logs_with_other_strategies_equal_the_reference() -> Result {
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
    follow("logs with others", any).await
}
