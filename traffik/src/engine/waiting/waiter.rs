use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;

use super::{line::Line, lines::Lines, turn::Turn};

/// A place in a line. Dropping it leaves the line.
pub(super) struct Waiter {
    pub(super) lines: Arc<Lines>,
    pub(super) line: Arc<Line>,
    pub(super) place: u64,
    pub(super) turn: oneshot::Receiver<Turn>,
}

impl Future for Waiter {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn> {
        let turn = match Pin::new(&mut self.turn).poll(cx) {
            Poll::Pending => {
                // The runtime on which it waits now may not be the one on which it joined.
                self.lines.drive_here(&self.line);
                ready!(Pin::new(&mut self.turn).poll(cx))
            }
            Poll::Ready(turn) => turn,
        };
        // The line drops no waiter that it has not told.
        Poll::Ready(turn.unwrap_or(Turn::Over))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.line.leave(self.place) {
            self.lines.remove_if_empty(&self.line);
        }
    }
}
