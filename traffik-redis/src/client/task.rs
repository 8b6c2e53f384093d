use tokio::task::{JoinError, JoinHandle};

/// A task that ends with whoever has it.
pub(super) struct Task<T>(pub(super) JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    pub(super) fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl<T> Task<T> {
    /// Whether it is over, by itself or with the runtime that it was in.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_finished()
    }

    pub(super) async fn ended(&mut self) -> Result<T, JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
