use std::{
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tokio::runtime::Handle;

use super::{
    Leases,
    register::{Claim, Leaving},
};
use crate::{
    backend::Store,
    clock::Timestamp,
    decision::{Hit, Receipt},
};

/// A place that is held. Dropped, it is given back.
///
/// That takes no waiting where the store takes none. Elsewhere the keeper does it, in a moment. Where there is no runtime for
/// that, as after the end of one, the place is free once its lease has ended.
pub(crate) struct Lease {
    store: Arc<Store>,
    number: usize,
    runtime: Option<Handle>,
    is_over: AtomicBool,
}

impl Lease {
    /// Of what was charged just now. It is renewed on the runtime that this is called in, if there is one.
    pub(crate) fn new(store: &Arc<Store>, uid: &'static str, hit: &Hit<'_>, charged_at: Timestamp) -> Self {
        let runtime = Handle::try_current().ok();
        let (claim, now) = (Arc::new(Claim::new(uid, hit)), store.clock().now());
        let (number, is_news) = store.leases.register().enter(claim, charged_at, now, runtime.clone());
        if is_news {
            Leases::keep(store, runtime.as_ref());
        }
        Self { store: Arc::clone(store), number, runtime, is_over: AtomicBool::new(false) }
    }

    /// Ends it, for somebody who gives back what was charged then: once, and not while it is being renewed, after which it is
    /// given back by whoever does that.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.leave().map(|leaving| leaving.charged_at)
    }

    fn leave(&self) -> Option<Leaving> {
        let is_first = !self.is_over.swap(true, Ordering::AcqRel);
        if is_first { self.store.leases.register().leave(self.number) } else { None }
    }
}

impl Lease {
    /// Gives the place back, if nobody did: whoever asks for that does not have to stay until it is done.
    pub(crate) fn give_back(&self) {
        let Some(leaving) = self.leave() else { return };
        if !(self.store.is_at_once() && is_given_back(&self.store, &leaving.claim.receipt(leaving.charged_at))) {
            Leases::give_back_later(&self.store, leaving, self.runtime.as_ref());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Gives something back where that takes no waiting. Whether there is nothing left to be done.
fn is_given_back(store: &Store, receipt: &Receipt<'_>) -> bool {
    let refund = pin!(store.refund_in_any_time(std::slice::from_ref(receipt)));
    match refund.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => true,
        Poll::Ready(Err(error)) => error.may_have_run(),
        Poll::Pending => false,
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}
