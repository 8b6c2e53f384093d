//! What a request met so far: written by whatever throttles it, read when its response goes out.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use smallvec::SmallVec;
use traffik_core::{client::Client, decision::Receipt};

use crate::{
    engine::{Limit, Traffik},
    limit::Definition,
    store::Store,
    warning::Warning,
};

/// The ledger of one request. Clones are the same: one travels with the request, one waits for the response.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The handle that the request came with first. As a rule there is no other.
    traffik: Traffik,
    /// Whether a layer waits for the response, to add the fields and to give back.
    watched: AtomicBool,
    met: Mutex<Entries>,
}

/// One limit is what most requests meet.
type Entries = SmallVec<[Met; 1]>;

/// A limit that the request met.
#[derive(Clone, Debug)]
pub(super) struct Met {
    pub(super) client: Client,
    pub(super) limit: Arc<Limit>,
    /// Whether it was charged, rather than only looked at by a decision that was refused.
    pub(super) charged: bool,
}

impl Met {
    /// Whether it was charged, or let through without.
    fn passed(&self) -> bool {
        self.charged || self.limit.is_unchecked()
    }

    /// Whether both count the same in two places, of which one would do.
    fn is_same_as(&self, other: &Self) -> bool {
        let (one, two) = (&self.limit, &other.limit);
        let are_alike = one.rate() == two.rate() && one.is_counted() && two.is_counted() && one.cost() == two.cost();
        are_alike && !two.definition().is_second.load(Ordering::Relaxed) && self.is_another_of(other)
    }

    fn is_another_of(&self, other: &Self) -> bool {
        let (one, two) = (self.limit.definition(), other.limit.definition());
        one.uid != two.uid && one.settings.strategy == two.settings.strategy && self.client == other.client
    }

    fn is_kept_in(&self, store: &Arc<Store>) -> bool {
        self.limit.store().is_some_and(|own| Arc::ptr_eq(own, store))
    }

    fn receipt(&self) -> Option<Receipt<'_>> {
        self.client.key().filter(|_| self.charged).and_then(|key| self.limit.receipt(key))
    }

    fn give_back(&mut self) {
        if self.charged {
            self.charged = false;
            // The permit keeps telling what it told.
            Arc::make_mut(&mut self.limit).give_back();
        }
    }
}

impl Ledger {
    pub(super) fn new(traffik: Traffik) -> Self {
        Self { shared: Arc::new(Shared { traffik, watched: AtomicBool::new(false), met: Mutex::default() }) }
    }

    pub(super) fn traffik(&self) -> &Traffik {
        &self.shared.traffik
    }

    pub(super) fn is_watched(&self) -> bool {
        self.shared.watched.load(Ordering::Relaxed)
    }

    /// The same ledger for a layer that waits for the response, unless another does so already.
    pub(super) fn watched(&self) -> Option<Self> {
        let is_first = !self.shared.watched.swap(true, Ordering::Relaxed);
        is_first.then(|| self.clone())
    }

    /// Begins to write down what one decision was about.
    pub(super) fn record(&self) -> Recording<'_> {
        let met = self.lock();
        Recording { ledger: self, before: met.len(), met }
    }

    /// The limit as it was when this throttle was charged for the same client earlier in the request.
    ///
    /// Or when it was let through uncounted: what nobody answered then may have been charged, and is not waited for again.
    pub(super) fn charged_before(&self, definition: &Arc<Definition>, client: &Client) -> Option<Arc<Limit>> {
        // A definition belongs to one handle: another app's is another, even if its throttle is the same type.
        let is_it =
            |met: &&Met| met.passed() && Arc::ptr_eq(met.limit.definition(), definition) && met.client == *client;
        self.lock().iter().rev().find(is_it).map(|met| Arc::clone(&met.limit))
    }

    /// Shows every limit that was met, once each: as it stood last.
    pub(super) fn show(&self, show: impl FnOnce(&[&Limit])) {
        let met = self.lock();
        let mut limits: SmallVec<[&Limit; 4]> = SmallVec::new();
        for Met { limit, .. } in met.iter().filter(|met| met.limit.is_counted()) {
            match limits.iter_mut().find(|earlier| earlier.uid() == limit.uid()) {
                Some(earlier) => *earlier = limit,
                None => limits.push(limit),
            }
        }
        show(&limits);
    }

    /// Gives back all that the request was charged: best effort, since its answer is a refusal either way.
    ///
    /// Places are given back as those of whoever leaves are: a client that hangs up meanwhile would have them lost else,
    /// until their leases end.
    pub(super) async fn give_back(&self) {
        let mut met = std::mem::take(&mut *self.lock());
        met.iter_mut().filter(|met| met.charged && met.limit.leave()).for_each(Met::give_back);
        for store in stores_of(&met) {
            let receipts: Vec<_> = met.iter().filter(|met| met.is_kept_in(&store)).filter_map(Met::receipt).collect();
            match store.refund(&receipts).await {
                Ok(()) => met.iter_mut().filter(|met| met.is_kept_in(&store)).for_each(Met::give_back),
                // It is told as charged, then, since nobody knows better.
                Err(error) => tracing::warn!(%error, "a refused request keeps what it was charged"),
            }
        }
        self.lock().extend(met);
    }

    pub(super) fn has_charges(&self) -> bool {
        self.lock().iter().any(|met| met.charged)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.shared.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limits of one decision, as they are written down.
pub(super) struct Recording<'a> {
    ledger: &'a Ledger,
    met: MutexGuard<'a, Entries>,
    /// How many the request met before.
    before: usize,
}

impl Recording<'_> {
    pub(super) fn add(&mut self, new: Met) {
        if let Some(earlier) = self.met.iter().take(self.before).find(|earlier| earlier.is_same_as(&new)) {
            self.warn_of_twice(earlier, &new);
        }
        self.met.push(new);
    }

    /// Warns of two limits that are the same but for their uids: once of each that is met second.
    #[cold]
    fn warn_of_twice(&self, first: &Met, second: &Met) {
        let (first, second) = (first.limit.definition(), second.limit.definition());
        let warning = Warning::LimitedTwice;
        if !second.is_second.swap(true, Ordering::Relaxed)
            && self.ledger.traffik().told().is_news(warning, Some(second.uid))
        {
            tracing::warn!(
                warning = warning.name(),
                docs = warning.docs(),
                first = first.uid,
                second = second.uid,
                "a request met two limits that are the same but for their uids, as one of a layer and one of a handler: if \
                 they are meant to be one, use the same throttle in both places, which is charged once"
            );
        }
    }
}

/// Where something was charged, each once. As a rule it is one place.
fn stores_of(met: &[Met]) -> SmallVec<[Arc<Store>; 1]> {
    let mut stores = SmallVec::new();
    for store in met.iter().filter(|met| met.charged).filter_map(|met| met.limit.store()) {
        if !stores.iter().any(|known| Arc::ptr_eq(known, store)) {
            stores.push(Arc::clone(store));
        }
    }
    stores
}
