//! The stores that decisions are made in.
//!
//! A [`Backend`] knows nothing of HTTP. It is asked about several [`Hit`]s in one call and charges all of them or none.
//! `traffik` has one that stores in memory, `traffik-redis` one that stores in Redis.

mod answer;
mod error;

use std::{fmt, sync::Arc};

pub use self::{
    answer::{Answer, MaybeReady, Receive},
    error::BackendError,
};
use crate::{
    clock::{AnyClock, Timestamp},
    decision::{Decision, Hit, Receipt},
};

/// A store of limits, and the place where they are decided.
///
/// # What is expected of it
///
/// - All hits of one call are one decision: all are charged, or none is. Several hits on one entry add up.
/// - A refused decision changes nothing that is stored.
/// - The time is read once for a decision, by one clock, under whatever keeps decisions about one client apart.
/// - What is stored per client is what [`AnyStrategy::decide`](crate::strategy::AnyStrategy::decide) makes of it, and is
///   forgotten once it [expires](crate::strategy::State::expires).
/// - A hit at an unlimited rate is admitted, and nothing is stored of it.
/// - **The call starts the work.** Awaiting its [`Answer`] only receives the result: what others need meanwhile is held by
///   tasks of the backend, never by the future. A backend that never waits answers [`MaybeReady::Ready`].
/// - An answer borrows the backend and not the hits: what it needs of them later it copies.
/// - After [`close`](Self::close) every other call fails with [`BackendError::Closed`].
///
/// The crate `traffik-conformance` has tests of all that, for any backend.
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

    /// Gives back what was charged, as far as it still counts; each strategy says how far that is.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer.
    fn refund<'a>(&'a self, receipts: &[Receipt<'_>]) -> Answer<'a, ()>;

    /// Charges again what was charged before and has to go on counting, for instance the permits of a
    /// [`Concurrency`](crate::strategy::Concurrency). Returns for each receipt when it was charged again, or `None` where it was
    /// not, as far as is known.
    ///
    /// Each is what [`AnyStrategy::renew`](crate::strategy::AnyStrategy::renew) makes of it, in one step: what still counts is
    /// exchanged for a charge of now, so that no other client can take its place in between; what counts no more is charged if
    /// there is room. The receipts are of many clients, and no decision together.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer. Whether anything was charged is then unknown, unless the error says that
    /// the call [did not run](BackendError::NotRun).
    fn renew<'a>(&'a self, receipts: &[Receipt<'_>]) -> Answer<'a, Vec<Option<Timestamp>>>;

    /// Forgets what is stored for each of the hits: their clients start fresh with these limits.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer.
    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()>;

    /// Forgets everything in this namespace.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer.
    fn clear(&self) -> Answer<'_, ()>;

    /// Closes whatever is held open. What is stored elsewhere stays.
    ///
    /// `Traffik::close` drops the call if it takes longer than `TraffikBuilder::backend_timeout`.
    ///
    /// # Errors
    ///
    /// Returns an error if something cannot be closed in order.
    fn close(&self) -> Answer<'_, ()>;
}

/// A shared backend is the same backend.
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

    fn refund<'a>(&'a self, receipts: &[Receipt<'_>]) -> Answer<'a, ()> {
        B::refund(self, receipts)
    }

    fn renew<'a>(&'a self, receipts: &[Receipt<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        B::renew(self, receipts)
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
