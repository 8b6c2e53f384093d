use std::panic::resume_unwind;

use tokio::runtime::Handle;
use tracing::Instrument;
use traffik_core::backend::BackendError;

use super::Error;

/// Starts a task that runs `future` to its end, even if what is returned is not polled or is dropped. A panic in the task
/// resumes where its result is awaited. Where there is no runtime, `future` runs there.
pub(crate) fn in_a_task<T: Send + 'static, E: From<Error> + Send + 'static>(
    future: impl Future<Output = Result<T, E>> + Send + 'static,
) -> impl Future<Output = Result<T, E>> + Send {
    let task = match Handle::try_current() {
        Ok(runtime) => Ok(runtime.spawn(future.in_current_span())),
        Err(_) => Err(future),
    };
    async move {
        match task {
            Err(future) => future.await,
            Ok(task) => match task.await {
                Ok(answer) => answer,
                // In a function of the user's own, for instance.
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(error) => Err(Error::from(BackendError::unavailable(error)).into()),
            },
        }
    }
}
