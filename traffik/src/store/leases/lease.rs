use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::runtime::Handle;
use traffik_core::{clock::Timestamp, decision::Hit};

use super::{
    Leases,
    call::Call,
    register::{Claim, Leaving},
};
use crate::store::Store;

/// A place that is held. Dropped, it is given back.
///
/// That takes no waiting where the store takes none. Elsewhere the keeper does it, in a moment, on another runtime where its
/// own has ended. Where there is no runtime left, the place is free once its lease has ended.
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
        // The runtime that this is called in surely lives.
        let runtime = Handle::try_current().ok().or_else(|| self.runtime.clone());
        if self.store.is_immediate() {
            Call::give_back(&self.store, [leaving], runtime).start();
        } else {
            Leases::give_back_later(&self.store, leaving, runtime.as_ref());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}
