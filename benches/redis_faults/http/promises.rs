//! The guarantees during any fault for clients of an app with failover.

use std::time::Duration;

use super::{
    app::{BUDGET, RECOVERY_TIMEOUT},
    row::Row,
};
use crate::promises::{BACK_WITHIN, MORE_SLACK};

/// The additional time of the whole request on a busy machine.
const SLACK: Duration = Duration::from_millis(400);

/// The maximum time of a decision without Redis. Memory is much faster, but a busy machine is not.
const WITHOUT_REDIS: Duration = Duration::from_millis(10);

/// Returns the guarantees that a fault broke.
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
        broken.push(format!("the longest wait was {longest:?}"));
    }
    match row.waits_while_open.of_percent(50) {
        Some(half) if half > WITHOUT_REDIS => {
            broken.push(format!("the median wait was {half:?} while the breaker was open"))
        }
        None if row.fault.lasts() => broken.push("the breaker never opened".to_owned()),
        _ => {}
    }
    match row.back_after {
        // The last trial may have failed just before the server was back, and reconnecting takes time.
        Some(after) if after <= RECOVERY_TIMEOUT + BACK_WITHIN + MORE_SLACK + row.stalls => {}
        after => broken.push(format!("the primary decided again after {after:?}")),
    }
    if !row.closed_again {
        broken.push("the breaker did not close again".to_owned());
    }
    broken
}
