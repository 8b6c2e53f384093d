//! What is promised of any fault.

use std::time::Duration;

use crate::{DEADLINE, row::Row};

/// Of whoever is there again.
pub(crate) const BACK_WITHIN: Duration = Duration::from_millis(500);

/// What a busy machine may add to a wait, and to finding the server again.
const SLACK: Duration = Duration::from_millis(250);
pub(crate) const MORE_SLACK: Duration = Duration::from_millis(1500);

/// Those that a fault broke.
pub(crate) fn broken(row: &Row) -> Vec<String> {
    let mut broken = Vec::new();
    let longest = row.waits.longest();
    if longest > DEADLINE + SLACK {
        broken.push(format!("somebody waited for {longest:?}"));
    }
    let failed = row.timed_out + row.unavailable;
    if failed > 0 && !row.fault.may_fail_a_call() {
        broken.push(format!("{failed} calls were errors"));
    }
    if row.twice > 0 {
        broken.push(format!("{} calls were charged twice", row.twice));
    }
    match u64::try_from(row.unheard) {
        Ok(unheard) if unheard <= row.counted => {}
        Ok(unheard) => broken.push(format!("{unheard} were charged unheard, and {} counted as such", row.counted)),
        Err(_) => broken.push(format!("{} were told that they were admitted, and not charged", -row.unheard)),
    }
    match row.back_after {
        Some(after) if after <= BACK_WITHIN + MORE_SLACK => {}
        after => broken.push(format!("it was found again after {after:?}")),
    }
    broken
}
