//! Where: the stores that decisions are made in.
//!
//! A [`Backend`] knows nothing of HTTP. It is asked about several [`Hit`]s at once and charges all of them or none.
//! [`MemoryBackend`] keeps what it stores in this process; a backend of your own implements the trait.

#[cfg(feature = "conformance")]
pub mod conformance;
mod deadline;
mod erased;
mod error;
mod leases;
mod memory;
mod store;

use std::{fmt, sync::Arc};

pub(crate) use self::{
    deadline::within,
    erased::AnyBackend,
    leases::Lease,
    store::{Store, Stores, check_complete},
};
pub use self::{error::BackendError, memory::MemoryBackend};
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
/// - After [`close`](Self::close) every other call fails with [`BackendError::Closed`].
///
/// With the feature `conformance` the module `backend::conformance` has tests of all that, for any backend.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// The name that keeps this store's entries apart from those of others.
    fn namespace(&self) -> &str;

    /// The clock that deadlines and delays around this backend go by, unless the app is given another: the system's.
    fn clock(&self) -> AnyClock {
        AnyClock::system()
    }

    /// Decides at once, if that takes no waiting. `None` means: ask [`decide`](Self::decide).
    ///
    /// A backend that never waits answers here, and its decisions cost neither an allocation nor a boxed future.
    ///
    /// An error here says that nothing was charged, and never will be: where something is [planned](crate::on_error) for
    /// errors, [`decide`](Self::decide) is asked next. A call that may have run is made there.
    fn decide_now(&self, hits: &[Hit<'_>]) -> Option<Result<Decision, BackendError>> {
        let _ = hits;
        None
    }

    /// Charges all of `hits`, if each of their limits has room, and tells how each stands.
    ///
    /// # Errors
    ///
    /// When the store gave no answer. Whether anything was charged is then not known, unless the error says that the call
    /// surely [did not run](BackendError::NotRun).
    fn decide(&self, hits: &[Hit<'_>]) -> impl Future<Output = Result<Decision, BackendError>> + Send;

    /// Tells how each limit stands, and whether it has room, without charging it.
    ///
    /// # Errors
    ///
    /// When the store gave no answer.
    fn peek(&self, hits: &[Hit<'_>]) -> impl Future<Output = Result<Decision, BackendError>> + Send;

    /// Gives back what was charged, as far as it still counts; each strategy says how far that is.
    ///
    /// # Errors
    ///
    /// When the store gave no answer.
    fn refund(&self, receipts: &[Receipt<'_>]) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// Charges anew, each by itself, what was charged before and has to go on counting: the places of a
    /// [`Concurrency`](crate::strategy::Concurrency), for one. Tells for each receipt when it was charged anew, or nothing where
    /// it was not, as far as is known.
    ///
    /// What comes of each is what [`AnyStrategy::renew`](crate::strategy::AnyStrategy::renew) makes of it: what still counts is
    /// exchanged for a charge of now, in one step, so that nobody else can take its place in between; what counts no more is
    /// charged if there is room. The receipts are of many clients, and no decision together.
    ///
    /// Unless a backend does better each is [refunded](Self::refund) and then [decided](Self::decide) about, which are two
    /// steps: a limit that is full may be lost to somebody else in between. The module `conformance` sees that.
    ///
    /// # Errors
    ///
    /// When the store gave no answer. Whether anything was charged anew is then not known, unless the error says that the call
    /// surely [did not run](BackendError::NotRun).
    fn renew(
        &self,
        receipts: &[Receipt<'_>],
    ) -> impl Future<Output = Result<Vec<Option<Timestamp>>, BackendError>> + Send {
        async move {
            let mut renewed = Vec::with_capacity(receipts.len());
            for receipt in receipts {
                self.refund(std::slice::from_ref(receipt)).await?;
                let decision = self.decide(std::slice::from_ref(&receipt.hit)).await?;
                let charged = decision.outcomes().first().filter(|outcome| outcome.admitted);
                renewed.push(charged.map(|outcome| outcome.at));
            }
            Ok(renewed)
        }
    }

    /// Forgets what is stored for each of the hits: their clients start fresh with these limits.
    ///
    /// # Errors
    ///
    /// When the store gave no answer.
    fn reset(&self, hits: &[Hit<'_>]) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// Forgets everything in this namespace.
    ///
    /// # Errors
    ///
    /// When the store gave no answer.
    fn clear(&self) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// Lets go of whatever is held open. What is stored elsewhere stays.
    ///
    /// [`Traffik::close`](crate::Traffik::close) drops the call if it takes longer than
    /// [`backend_timeout`](crate::TraffikBuilder::backend_timeout).
    ///
    /// # Errors
    ///
    /// When it cannot be let go of in order.
    fn close(&self) -> impl Future<Output = Result<(), BackendError>> + Send;
}

/// A shared backend is the same backend.
impl<B: Backend> Backend for Arc<B> {
    fn namespace(&self) -> &str {
        B::namespace(self)
    }

    fn clock(&self) -> AnyClock {
        B::clock(self)
    }

    fn decide_now(&self, hits: &[Hit<'_>]) -> Option<Result<Decision, BackendError>> {
        B::decide_now(self, hits)
    }

    fn decide(&self, hits: &[Hit<'_>]) -> impl Future<Output = Result<Decision, BackendError>> + Send {
        B::decide(self, hits)
    }

    fn peek(&self, hits: &[Hit<'_>]) -> impl Future<Output = Result<Decision, BackendError>> + Send {
        B::peek(self, hits)
    }

    fn refund(&self, receipts: &[Receipt<'_>]) -> impl Future<Output = Result<(), BackendError>> + Send {
        B::refund(self, receipts)
    }

    fn renew(
        &self,
        receipts: &[Receipt<'_>],
    ) -> impl Future<Output = Result<Vec<Option<Timestamp>>, BackendError>> + Send {
        B::renew(self, receipts)
    }

    fn reset(&self, hits: &[Hit<'_>]) -> impl Future<Output = Result<(), BackendError>> + Send {
        B::reset(self, hits)
    }

    fn clear(&self) -> impl Future<Output = Result<(), BackendError>> + Send {
        B::clear(self)
    }

    fn close(&self) -> impl Future<Output = Result<(), BackendError>> + Send {
        B::close(self)
    }
}
