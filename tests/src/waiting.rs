//! How tests wait: for tasks without a clock, and for what another thread, process or socket does.

use std::time::Duration;

use tokio::time::{Instant, pause, resume, sleep};

/// The longest wait of a test for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until every task of this runtime waits: for a clock, a channel, or the time.
///
/// Use it after [`ManualClock::advance`](traffik::test::ManualClock::advance), where a test states that something did not
/// happen. It needs a runtime with one thread. A paused tokio moves the time of its timers only when no task can run, so the
/// end of this sleep shows that none can.
pub async fn until_idle() {
    pause();
    sleep(Duration::from_millis(1)).await;
    resume();
}

/// Waits until a condition is true that no channel reports: another thread, process or socket makes it so.
///
/// # Panics
///
/// Panics if it is not true after 20 seconds.
pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "not so after {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}
