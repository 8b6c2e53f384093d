use tokio::sync::watch;

use super::state::{BreakerState, State};

/// The state changes of a breaker since [`CircuitBreaker::changes`](super::CircuitBreaker::changes) was called.
///
/// A state that ended before [`next`](Self::next) was called may be skipped.
#[derive(Debug)]
pub struct Changes(pub(super) watch::Receiver<State>);

impl Changes {
    /// Waits for the next change, and returns the latest state. Returns `None` once the breaker is gone.
    ///
    /// No change is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<BreakerState> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().status.state)
    }
}
