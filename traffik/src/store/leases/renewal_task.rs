use std::sync::Arc;

use tokio::sync::Notify;

use crate::store::{deadline::first_of, handle::Store, lease_table::Action, settlement::Settlement, upkeep::Upkeep};

/// Wakes the task of a store, or starts it.
pub(super) fn wake(store: &Store) {
    if let Some(task) = start(Arc::clone(&store.upkeep)) {
        store.tasks.spawn(Box::pin(task));
    }
}

/// Makes a settlement that the store is likely to make without waiting.
pub(super) fn settle_now(store: &Store, settlement: Settlement) {
    let upkeep = Arc::clone(&store.upkeep);
    store.tasks.start(Box::pin(async move {
        if upkeep.settle(vec![settlement]).await {
            return;
        }
        if let Some(task) = start(upkeep) {
            task.await;
        }
    }));
}

/// Wakes the task. Returns it if it does not run yet.
fn start(upkeep: Arc<Upkeep>) -> Option<impl Future<Output = ()>> {
    let (wake, is_new) = upkeep.leases().try_start();
    if is_new {
        return Some(run(upkeep, wake));
    }
    wake.notify_one();
    None
}

/// Renews permits and settles charges, as long as there are any.
async fn run(upkeep: Arc<Upkeep>, wake: Arc<Notify>) {
    loop {
        let now = upkeep.clock.now();
        let action = upkeep.leases().next(now);
        match action {
            Action::Call { settle, renew } => {
                upkeep.settle(settle).await;
                upkeep.renew(renew).await;
            }
            Action::Wait(wait) => {
                first_of(upkeep.clock.sleep_on_any_runtime(wait), wake.notified()).await;
            }
            Action::End => return,
        }
    }
}
