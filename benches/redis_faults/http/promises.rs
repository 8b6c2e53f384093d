//! What is promised of any fault to clients of an app with failover.

use std::time::Duration;

use super::{
    app::{BUDGET, RECOVERY_TIMEOUT},
    row::Row,
};
use crate::promises::{BACK_WITHIN, MORE_SLACK};

/// What a busy machine may add to a wait, which is that of the whole request here.
const SLACK: Duration = Duration::from_millis(400);

/// Memory is faster by far, and so is everybody who does not wait for Redis. A busy machine is not.
const AT_ONCE: Duration = Duration::from_millis(10);

/// Those that a fault broke.
pub(crate) fn broken(row: &Row) -> Vec<String> {
    let mut broken = Vec::new();
    if row.other > 0 {
        broken.push(format!("{} requests came to neither a 200 nor a 429", row.other));
    }
    if row.by_fallback > 0 && !row.fault.may_fail_a_call() {
        broken.push(format!("the fallback decided about {} requests", row.by_fallback));
    }
    let longest = row.waits.longest();
    if longest > BUDGET + SLACK + row.stalls {
        broken.push(format!("somebody waited for {longest:?}"));
    }
    match row.waits_while_open.of_percent(50) {
        Some(half) if half > AT_ONCE => broken.push(format!("half of them waited for {half:?} while it was open")),
        None if row.fault.lasts() => broken.push("the breaker never opened".to_owned()),
        _ => {}
    }
    match row.back_after {
        // The last trial before it may have failed just when the server came back, which took its time to be found again.
        Some(after) if after <= RECOVERY_TIMEOUT + BACK_WITHIN + MORE_SLACK + row.stalls => {}
        after => broken.push(format!("the primary decided again after {after:?}")),
    }
    if !row.closed_again {
        broken.push("the breaker did not close again".to_owned());
    }
    broken
}
