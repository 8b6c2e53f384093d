use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Weak},
    task::Poll,
};

use tokio::runtime::Handle;

use super::{Leases, call::Call, register::Step};
use crate::store::Store;

/// The task that renews the places of a store while any are held. It keeps no store alive.
pub(super) struct Keeper {
    store: Weak<Store>,
    /// Where it runs.
    runtime: Handle,
    has_ended: bool,
}

impl Keeper {
    pub(super) fn new(store: &Arc<Store>, runtime: Handle) -> Self {
        Self { store: Arc::downgrade(store), runtime, has_ended: false }
    }

    pub(super) async fn keep(mut self) {
        while let Some(store) = self.store.upgrade() {
            let now = store.clock().now();
            let step = store.leases.register().next(now);
            match step {
                Step::GiveBack(leaving) => Call::give_back(&store, leaving, Some(self.runtime.clone())).wait().await,
                Step::Renew(due) => Call::renew(&store, due, Some(self.runtime.clone())).wait().await,
                Step::Wait(wait) => {
                    let (clock, sooner) = (store.clock().clone(), Arc::clone(&store.leases.sooner));
                    drop(store);
                    first_of(clock.sleep_on_any_runtime(wait), sooner.notified()).await;
                }
                Step::End => break,
            }
        }
        self.has_ended = true;
    }
}

/// Its runtime ends before the places do, or it panics. A keeper on another runtime follows, or the next lease starts one.
impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(store) = self.store.upgrade().filter(|_| !self.has_ended) else { return };
        let other = store.leases.register().abandoned(self.runtime.id());
        Leases::keep(&store, other.as_ref());
    }
}

/// The output of `one`, or `None` if `other` ends first.
pub(super) async fn first_of<T>(one: impl Future<Output = T>, other: impl Future<Output = ()>) -> Option<T> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => other.as_mut().poll(cx).map(|()| None),
    })
    .await
}
