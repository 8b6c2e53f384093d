use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::call::Call;
use crate::store::{deadline::first_of, handle::Store, lease_table::Action, settlement::Settlement};

/// Wakes the task of a store, or starts it.
pub(super) fn wake(store: &Arc<Store>) {
    let (wake, is_new) = store.leases().try_start();
    if is_new {
        store.tasks.spawn(Box::pin(run(Arc::downgrade(store), wake)));
    } else {
        wake.notify_one();
    }
}

/// Makes a settlement that the store is likely to make without waiting.
pub(super) fn settle_now(store: &Arc<Store>, settlement: Settlement) {
    let (call, store_of_call) = (Call::new(store), Arc::downgrade(store));
    store.tasks.start(Box::pin(async move {
        let is_done = call.settle(vec![settlement]).await;
        if let Some(store) = store_of_call.upgrade().filter(|_| !is_done) {
            wake(&store);
        }
    }));
}

/// Renews permits and settles charges, as long as there are any. It does not keep the store alive.
async fn run(weak: Weak<Store>, wake: Arc<Notify>) {
    while let Some(store) = weak.upgrade() {
        let now = store.clock().now();
        let action = store.leases().next(now);
        let (call, clock) = (Call::new(&store), store.clock().clone());
        drop(store);
        match action {
            Action::Call { settle, renew } => {
                call.settle(settle).await;
                call.renew(renew).await;
            }
            Action::Wait(wait) => {
                first_of(clock.sleep_on_any_runtime(wait), wake.notified()).await;
            }
            Action::End => return,
        }
    }
}
