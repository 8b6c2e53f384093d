//! Ends a demo when a signal to stop comes.

use std::error::Error;

use crate::shutdown::shutdown_signal;

/// Runs a demo, unless it is interrupted. What it started ends when its future is dropped.
pub(crate) async fn unless_interrupted(
    demo: impl Future<Output = Result<(), Box<dyn Error>>>,
) -> Result<(), Box<dyn Error>> {
    tokio::select! {
        biased;
        // Polled first, so an interrupt is noticed before anything is started.
        () = shutdown_signal() => Err("interrupted".into()),
        shown = demo => shown,
    }
}
