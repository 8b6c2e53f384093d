//! The guarantees during any fault.

use std::time::Duration;

use crate::{DEADLINE, row::Row};

/// The maximum time until a server that is back is used again.
pub(crate) const BACK_WITHIN: Duration = Duration::from_millis(500);

/// The additional time of a wait or a reconnection on a busy machine.
const SLACK: Duration = Duration::from_millis(250);
pub(crate) const MORE_SLACK: Duration = Duration::from_millis(1500);

/// Returns the guarantees that a fault broke.
pub(crate) fn broken(row: &Row) -> Vec<String> {
    let mut broken = Vec::new();
    let longest = row.waits.longest();
    if longest > DEADLINE + SLACK {
        broken.push(format!("the longest wait was {longest:?}"));
    }
    let failed = row.timed_out + row.unavailable;
    if failed > 0 && !row.fault.may_fail_a_call() {
        broken.push(format!("{failed} calls were errors"));
    }
    if row.twice > 0 {
        broken.push(format!("{} calls were charged twice", row.twice));
    }
    match u64::try_from(row.unreported) {
        Ok(unreported) if unreported <= row.counted => {}
        Ok(unreported) => {
            broken.push(format!("{unreported} were charged without a result, and {} counted as such", row.counted))
        }
        Err(_) => broken.push(format!("{} were admitted without a charge", -row.unreported)),
    }
    match row.back_after {
        Some(after) if after <= BACK_WITHIN + MORE_SLACK => {}
        after => broken.push(format!("it was used again after {after:?}")),
    }
    broken
}
