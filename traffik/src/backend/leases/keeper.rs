use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Weak},
    task::Poll,
};

use tokio::runtime::{Handle, Id};

use super::{
    Leases,
    register::{Due, Leaving, Renewal, Step},
};
use crate::backend::{BackendError, Store};

/// The task that renews the places of a store while any are held. It keeps no store alive.
pub(super) struct Keeper {
    store: Weak<Store>,
    /// Where it runs.
    runtime: Id,
    has_ended: bool,
}

impl Keeper {
    pub(super) fn new(store: &Arc<Store>, runtime: &Handle) -> Self {
        Self { store: Arc::downgrade(store), runtime: runtime.id(), has_ended: false }
    }

    pub(super) async fn keep(mut self) {
        while let Some(store) = self.store.upgrade() {
            let step = store.leases.register().next(store.clock().now());
            match step {
                Step::GiveBack(leaving) => give_back(&store, leaving).await,
                Step::Renew(due) => renew(&store, &due).await,
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

/// Its runtime ends before the places do, or it panics: then whoever has another runtime takes over, or whoever comes next.
impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(store) = self.store.upgrade().filter(|_| !self.has_ended) else { return };
        let other = store.leases.register().abandoned(self.runtime, store.clock().now());
        if !std::thread::panicking() {
            Leases::keep(&store, other.as_ref());
        }
    }
}

async fn renew(store: &Store, due: &[Due]) {
    let receipts: Vec<_> = due.iter().map(|due| due.claim.receipt(due.charged_at)).collect();
    let answer = store.renew(&receipts).await;
    let now = store.clock().now();
    let renewals: Vec<_> = match &answer {
        Ok(renewed) => renewed.iter().map(|at| at.map_or(Renewal::Open, Renewal::Done)).collect(),
        Err(BackendError::Closed) => vec![Renewal::Never; due.len()],
        Err(_) => Vec::new(),
    };
    // Of those that were left out nothing is known.
    let renewals = renewals.into_iter().chain(std::iter::repeat(Renewal::Open));
    let mut open = 0;
    {
        let mut register = store.leases.register();
        for (due, renewal) in due.iter().zip(renewals) {
            open += usize::from(matches!(renewal, Renewal::Open));
            register.renewed(due.number, renewal, now);
        }
    }
    if open > 0 && store.leases.not_renewed.is_due(now) {
        let error = answer.err().map(tracing::field::display);
        tracing::warn!(
            backend = store.namespace(),
            places = open,
            error,
            "places are held that could not be renewed: while the backend is away, or once others took them, more may be \
             there than their limits say"
        );
    }
}

async fn give_back(store: &Store, leaving: Vec<Leaving>) {
    let receipts: Vec<_> = leaving.iter().map(|leaving| leaving.claim.receipt(leaving.charged_at)).collect();
    let Err(error) = store.refund(&receipts).await else { return };
    let now = store.clock().now();
    let mut lost = leaving.len();
    if let BackendError::NotRun(_) = error {
        drop(receipts);
        let mut register = store.leases.register();
        lost = leaving.into_iter().map(|leaving| register.try_again(leaving, now)).filter(|is_kept| !is_kept).count();
    }
    if lost > 0 && !matches!(error, BackendError::Closed) && store.leases.not_given_back.is_due(now) {
        let backend = store.namespace();
        tracing::warn!(backend, places = lost, %error, "places are free only once their leases end");
    }
}

async fn first_of(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => other.as_mut().poll(cx),
    })
    .await;
}
