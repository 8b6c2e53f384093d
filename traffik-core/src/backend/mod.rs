//! The trait for stores of limits.
//!
//! A [`Backend`] does not know HTTP. One call decides about several [`Hit`]s and charges all of them or none. `traffik`
//! contains a backend in memory, and `traffik-redis` one for Redis.

mod adjusted;
mod answer;
mod control;
mod error;

use std::{fmt, sync::Arc};

pub use self::{
    adjusted::{Adjusted, AdjustmentError},
    answer::{Answer, MaybeReady, Receive},
    control::{Control, ControlRequest},
    error::BackendError,
};
use crate::{
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
};

/// A store of limits, and the place where they are decided.
///
/// # Requirements
///
/// - All hits of one call are one decision: all are charged, or none is. Several hits on one entry add up.
/// - A refused decision changes nothing that is stored.
/// - A decision reads the time once, from one clock, within the lock or transaction that orders the decisions about a client.
/// - The state of a client is what [`AnyStrategy::decide`](crate::strategy::AnyStrategy::decide) returns. It is deleted after
///   it [expires](crate::strategy::State::expires).
/// - A hit at an unlimited rate is admitted, and stores nothing.
/// - **The call starts the work.** Awaiting its [`Answer`] only receives the result. What other calls need in the meantime
///   belongs to tasks of the backend, never to the future. A backend that never waits returns [`MaybeReady::Ready`].
/// - An answer borrows the backend and not the hits. It copies what it needs of them later.
/// - After [`close`](Self::close) every other call returns [`BackendError::Closed`].
///
/// The crate `traffik-conformance` tests these requirements for any backend.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Returns the name that keeps this store's entries apart from those of others.
    fn namespace(&self) -> &str;

    /// Returns the clock for deadlines and delays around this backend, unless the app has another one. Defaults to the
    /// system's.
    fn clock(&self) -> AnyClock {
        AnyClock::system()
    }

    /// Charges all of `hits` if each of their limits has room, and returns one outcome for each.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer. Whether anything was charged is then unknown, unless the error says that
    /// the call [did not run](BackendError::NotRun).
    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision>;

    /// Returns what [`decide`](Self::decide) would, without charging.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer.
    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision>;

    /// Replaces charged costs by actual ones: settles, refunds, overdraws. Returns the result of each adjustment.
    ///
    /// Each adjustment is one step, as [`AnyStrategy::settle`](crate::strategy::AnyStrategy::settle) decides it. The charges may
    /// be of many clients, and each is adjusted by itself: an entry that cannot be read, a custom strategy that panics, or a
    /// server of several that does not answer is an [`AdjustmentError`] of the adjustments that it concerns, and the others are
    /// made. The [`cost`](crate::decision::Outcome::cost) of an outcome is the actual cost.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer at all. Whether anything was adjusted is then unknown, unless the error says
    /// that the call [did not run](BackendError::NotRun). The same holds for the error of an adjustment.
    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>>;

    /// Replaces charges by new ones, for what must keep counting, such as the permits of a
    /// [`Concurrency`](crate::strategy::Concurrency). Returns the time of each new charge, or `None` if there is none that the
    /// backend knows of.
    ///
    /// Each renewal is one step, as [`AnyStrategy::renew`](crate::strategy::AnyStrategy::renew) decides it. A charge that still
    /// counts is replaced, so no other client can take its place in between. Otherwise, the cost is charged if it fits. The
    /// charges may be of many clients, and each is decided by itself.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer. Whether anything was charged is then unknown, unless the error says that
    /// the call [did not run](BackendError::NotRun).
    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>>;

    /// Deletes what is stored for each of the hits. Their clients start fresh with these limits.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer.
    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()>;

    /// Reads or changes the settings that all users of this namespace share: see [`ControlRequest`].
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer. Whether anything changed is then unknown, unless the error says that the
    /// call [did not run](BackendError::NotRun).
    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control>;

    /// Deletes the entries of all clients in this namespace. The [settings](Self::control) stay.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer.
    fn clear(&self) -> Answer<'_, ()>;

    /// Closes connections and tasks. What is stored elsewhere stays.
    ///
    /// `Traffik::close` drops the call if it takes longer than `TraffikBuilder::backend_timeout`.
    ///
    /// # Errors
    ///
    /// Returns an error if something cannot be closed properly.
    fn close(&self) -> Answer<'_, ()>;
}

/// Calls the shared backend.
impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn namespace(&self) -> &str {
        B::namespace(self)
    }

    fn clock(&self) -> AnyClock {
        B::clock(self)
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        B::decide(self, hits)
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        B::peek(self, hits)
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        B::adjust(self, adjustments)
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        B::renew(self, charges)
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        B::control(self, request)
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        B::reset(self, hits)
    }

    fn clear(&self) -> Answer<'_, ()> {
        B::clear(self)
    }

    fn close(&self) -> Answer<'_, ()> {
        B::close(self)
    }
}
