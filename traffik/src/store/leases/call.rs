use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use smallvec::SmallVec;
use tokio::runtime::Handle;
use traffik_core::{backend::BackendError, clock::Timestamp, decision::Receipt};

use super::{
    Leases,
    keeper::first_of,
    register::{Claim, Due, Leaving, Renewal},
};
use crate::store::Store;

/// One call that gives places back, or renews them. It is made once.
///
/// The call owns what it needs, and no timer of a runtime. If its runtime ends, another one waits for the answer.
pub(super) struct Call {
    store: Arc<Store>,
    batch: Batch,
    /// `None` once there is an answer.
    answer: Option<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    runtime: Option<Handle>,
}

enum Batch {
    GiveBack(SmallVec<[Leaving; 1]>),
    Renew(Vec<Due>),
}

/// When each place was renewed. Empty for places that were given back.
type Answer = Result<Vec<Option<Timestamp>>, BackendError>;

type Charges = SmallVec<[(Arc<Claim>, Timestamp); 1]>;

impl Call {
    pub(super) fn give_back(
        store: &Arc<Store>,
        leaving: impl IntoIterator<Item = Leaving>,
        runtime: Option<Handle>,
    ) -> Self {
        let leaving: SmallVec<[Leaving; 1]> = leaving.into_iter().collect();
        let charges: Charges = leaving.iter().map(|leaving| (Arc::clone(&leaving.claim), leaving.charged_at)).collect();
        let backend = store.backend.clone();
        let answer = async move { backend.refund(&receipts(&charges)).await.map(|()| Vec::new()) };
        Self { store: Arc::clone(store), batch: Batch::GiveBack(leaving), answer: Some(Box::pin(answer)), runtime }
    }

    pub(super) fn renew(store: &Arc<Store>, due: Vec<Due>, runtime: Option<Handle>) -> Self {
        let charges: Charges = due.iter().map(|due| (Arc::clone(&due.claim), due.charged_at)).collect();
        let backend = store.backend.clone();
        let answer = async move { backend.renew(&receipts(&charges)).await };
        Self { store: Arc::clone(store), batch: Batch::Renew(due), answer: Some(Box::pin(answer)), runtime }
    }

    /// Starts the call. If there is no answer yet, a task waits for it.
    pub(super) fn start(mut self) {
        // A thread that ends has no place for a runtime any more.
        let can_enter = Handle::try_current().map_or_else(|error| error.is_missing_context(), |_| true);
        let runtime = self.runtime.clone().filter(|_| can_enter);
        let _entered = runtime.as_ref().map(Handle::enter);
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => self.end(answer),
            Poll::Pending => self.spawn(),
        }
    }

    /// Where it has no runtime, it looks for another one as it is dropped.
    fn spawn(self) {
        if let Some(runtime) = self.runtime.clone() {
            runtime.spawn(self.wait());
        }
    }

    /// Waits for the answer, as long as the store may take.
    pub(super) async fn wait(mut self) {
        let (clock, timeout) = (self.store.clock().clone(), self.store.timeout());
        let answer = first_of(poll_fn(|cx| self.poll(cx)), clock.sleep_on_any_runtime(timeout)).await;
        self.end(answer.unwrap_or(Err(BackendError::Timeout(timeout))));
    }

    /// A backend that panics fails this call alone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        let Some(answer) = &mut self.answer else { return Poll::Pending };
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(BackendError::unavailable("the backend panicked"))))
    }

    fn end(&mut self, answer: Answer) {
        self.answer = None;
        let has_more_to_do = match &mut self.batch {
            Batch::GiveBack(leaving) => given_back(&self.store, std::mem::take(leaving), answer),
            Batch::Renew(due) => {
                renewed(&self.store, due, answer);
                true
            }
        };
        if has_more_to_do {
            Leases::keep(&self.store, self.runtime.as_ref());
        }
    }
}

/// The runtime ends before there is an answer.
impl Drop for Call {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        let gone = self.runtime.take();
        let other = self.store.leases.register().another_runtime(gone.map(|gone| gone.id()));
        let Some(other) = other else {
            return self.end(Err(BackendError::unavailable("the runtime ended before there was an answer")));
        };
        let batch = std::mem::replace(&mut self.batch, Batch::Renew(Vec::new()));
        Self { store: Arc::clone(&self.store), batch, answer: Some(answer), runtime: Some(other) }.spawn();
    }
}

fn receipts(charges: &Charges) -> SmallVec<[Receipt<'_>; 1]> {
    charges.iter().map(|(claim, charged_at)| claim.receipt(*charged_at)).collect()
}

fn renewed(store: &Store, due: &[Due], answer: Answer) {
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

/// Whether any of them is to be given back again.
fn given_back(store: &Store, leaving: SmallVec<[Leaving; 1]>, answer: Answer) -> bool {
    let Err(error) = answer else { return false };
    let now = store.clock().now();
    let (all, mut lost) = (leaving.len(), leaving.len());
    if let BackendError::NotRun(_) = error {
        let mut register = store.leases.register();
        lost = leaving.into_iter().map(|leaving| register.try_again(leaving, now)).filter(|is_kept| !is_kept).count();
    }
    if lost > 0 && !matches!(error, BackendError::Closed) && store.leases.not_given_back.is_due(now) {
        let backend = store.namespace();
        tracing::warn!(backend, places = lost, %error, "places are free only once their leases end");
    }
    lost < all
}
