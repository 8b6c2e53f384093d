use tokio::sync::watch;

use super::BreakerState;

/// The changes of a breaker's state from here on: see [`CircuitBreaker::changes`](super::CircuitBreaker::changes).
///
/// Each tells the latest state. One that lasted no longer than it took to ask again may be left out.
#[derive(Debug)]
pub struct Changes(watch::Receiver<BreakerState>);

impl Changes {
    pub(super) fn new(receiver: watch::Receiver<BreakerState>) -> Self {
        Self(receiver)
    }

    /// Waits for a change, and tells the state that there is then. Nothing, once the breaker is gone.
    ///
    /// It may be dropped before it ends: no change is lost by that.
    pub async fn next(&mut self) -> Option<BreakerState> {
        self.0.changed().await.ok()?;
        Some(*self.0.borrow_and_update())
    }
}
