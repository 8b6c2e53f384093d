use std::panic::resume_unwind;

use tokio::runtime::Handle;
use tracing::Instrument;

use super::Error;
use crate::backend::BackendError;

/// Runs `future` in a task, to its end even if this is not polled again or dropped. A panic in it resumes here. Where there
/// is no runtime, `future` runs here.
pub(crate) async fn in_a_task<T: Send + 'static>(
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let Ok(runtime) = Handle::try_current() else { return future.await };
    match runtime.spawn(future.in_current_span()).await {
        Ok(answer) => answer,
        // In a function of the user's own, for instance.
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(error) => Err(BackendError::unavailable(error).into()),
    }
}
