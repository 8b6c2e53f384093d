use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::runtime::Handle;
use traffik_core::backend::BackendError;

use super::{
    demand::Demand,
    driver::Driver,
    lines::{Joined, Lines, NotJoined, Place},
    turn::{Room, Turn},
};
use crate::store::Store;

/// A caller in a line. Dropping it leaves the line.
pub(super) struct Waiter {
    lines: Arc<Lines>,
    joined: Joined,
}

impl Waiter {
    /// Joins a line. If it was empty, its head is asked for when there is `room`, or immediately.
    pub(super) fn join(
        lines: Arc<Lines>,
        place: Place,
        demand: &Arc<Demand>,
        store: &Arc<Store>,
        room: Option<Room>,
    ) -> Result<Self, NotJoined> {
        if Handle::try_current().is_err() {
            let error = "waiting needs a Tokio runtime: call it within one";
            return Err(NotJoined::Failed(BackendError::not_run(error)));
        }
        let joined = lines.join(place, demand, store, room)?;
        Driver::start(&lines, &joined.line);
        Ok(Self { lines, joined })
    }
}

impl Future for Waiter {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn> {
        let polled = Pin::new(&mut self.joined.turn).poll(cx);
        if polled.is_pending() {
            // The runtime on which it waits now may not be the one on which it joined.
            Driver::start(&self.lines, &self.joined.line);
        }
        // The line drops no waiter without a result.
        polled.map(|turn| turn.unwrap_or(Turn::Over))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let Joined { line, place, .. } = &self.joined;
        if line.leave(*place) {
            self.lines.remove_if_empty(line);
        }
    }
}
