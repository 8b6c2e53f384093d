//! What a request carries: the handle, and the ledger of the limits that it met. Throttles write the ledger, and the response
//! is made from it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use axum::http::{Extensions, request, response};
use smallvec::SmallVec;
use traffik_core::{backend::MaybeReady, client::Client};
use triomphe::Arc as Shared;

use crate::{
    engine::{AdjustError, Change, Limit, Limits, Traffik},
    limit::{
        BackendIndex, Definition,
        changes::{Live, LiveLimit},
    },
    request::RefundIf,
    store::within,
    warning::{Warning, warn_of},
};

/// The extension that a request carries: the handle, and the limits that the request met so far.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    ledger: Shared<Ledger>,
    /// The handle, if it differs from the ledger's.
    inner: Option<Traffik>,
    /// The changes of the app that a decision uses. `None` if nothing is changed, and in the extension.
    live: Option<Arc<Live>>,
}

impl RequestContext {
    /// Puts the handle of a layer into a request. Returns the ledger to the outermost layer, which completes the response.
    pub(super) fn enter(extensions: &mut Extensions, traffik: &Traffik, exposes: bool) -> Option<Shared<Ledger>> {
        let ledger = Self::enter_ledger(extensions, traffik);
        if exposes {
            Self::expose(extensions);
        }
        ledger
    }

    #[inline]
    fn enter_ledger(extensions: &mut Extensions, traffik: &Traffik) -> Option<Shared<Ledger>> {
        if let Some(context) = extensions.get_mut::<Self>() {
            context.set_handle(traffik);
            return (!context.ledger.is_watched.swap(true, Ordering::Relaxed)).then(|| Shared::clone(&context.ledger));
        }
        let ledger = Shared::new(Ledger::new(traffik.clone(), true));
        extensions.insert(Self { ledger: Shared::clone(&ledger), inner: None, live: None });
        Some(ledger)
    }

    #[cold]
    fn expose(extensions: &Extensions) {
        if let Some(context) = extensions.get::<Self>() {
            context.ledger.is_exposed.store(true, Ordering::Relaxed);
        }
    }

    /// Returns the context of a request. Without a layer, the handle comes from an `Extension`. Returns `None` if there
    /// is no handle.
    pub(super) fn of(parts: &mut request::Parts) -> Option<Self> {
        if let Some(context) = parts.extensions.get::<Self>() {
            let mut context = context.clone();
            if !context.ledger.is_watched() {
                parts.extensions.get().into_iter().for_each(|traffik| context.set_handle(traffik));
            }
            return Some(context.with_latest_changes());
        }
        let traffik = parts.extensions.get::<Traffik>()?;
        let context = Self { ledger: Shared::new(Ledger::new(traffik.clone(), false)), inner: None, live: None };
        parts.extensions.insert(context.clone());
        Some(context.with_latest_changes())
    }

    /// Returns a context of its own for a copy of a request, and the copy, which outlives the request.
    #[cfg(feature = "ws")]
    pub(super) fn of_copy(parts: &request::Parts, traffik: &Traffik) -> (Self, request::Parts) {
        let mut parts = parts.clone();
        let context = Self { ledger: Shared::new(Ledger::new(traffik.clone(), true)), inner: None, live: None };
        parts.extensions.insert(context.clone());
        (context, parts)
    }

    /// Returns the handle that a request carries.
    pub(super) fn handle(extensions: &Extensions) -> Option<&Traffik> {
        let context = extensions.get::<Self>().filter(|context| context.ledger.is_watched());
        context.map(Self::traffik).or_else(|| extensions.get())
    }

    /// Returns whether a layer waits for the response of a request.
    pub(super) fn is_watched(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some_and(|context| context.ledger.is_watched())
    }

    fn set_handle(&mut self, traffik: &Traffik) {
        self.inner = (!traffik.is(self.ledger.traffik())).then(|| traffik.clone());
    }

    pub(super) fn traffik(&self) -> &Traffik {
        self.inner.as_ref().unwrap_or(self.ledger.traffik())
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Takes one snapshot of the changes of the app, for one decision.
    #[inline]
    pub(super) fn with_latest_changes(mut self) -> Self {
        self.live = self.traffik().changes().live();
        self
    }

    /// Returns the snapshot of the changes. `None` if nothing is changed.
    #[inline]
    pub(super) fn live(&self) -> Option<&Live> {
        self.live.as_deref()
    }

    /// Returns what is changed of a throttle.
    #[inline]
    pub(super) fn live_of(&self, definition: &Definition) -> Option<&LiveLimit> {
        self.live().map(|live| live.of(&definition.uid))
    }
}

/// The limits that one request met. Throttles write it, and the layer reads it for the response.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The first handle of the request. As a rule there is no other.
    traffik: Traffik,
    /// Whether a layer waits for the response, to add the fields and to refund.
    is_watched: AtomicBool,
    /// Whether there are entries. The first throttle of a request then needs no lock.
    has_entries: AtomicBool,
    /// Whether the response may refund an entry.
    may_refund: AtomicBool,
    /// Whether the response carries the limits in its extensions.
    is_exposed: AtomicBool,
    /// Whether the response has its fields, or there is none.
    has_ended: AtomicBool,
    entries: Mutex<Entries>,
}

/// Most requests meet one limit.
type Entries = SmallVec<[LedgerEntry; 1]>;

/// A limit that the request met.
#[derive(Clone, Debug)]
struct LedgerEntry {
    limit: Shared<Limit>,
    /// Whether it was charged. Otherwise a refused decision only checked it, or it is over a limit in a dry run.
    charged: bool,
    /// Whether the request passed it. It is not checked again then.
    passed: bool,
    /// The conditions of the layers that checked it, in addition to those of the throttle.
    refund_if: RefundIf,
}

impl LedgerEntry {
    fn uncharged(limit: Shared<Limit>) -> Self {
        Self { limit, charged: false, passed: false, refund_if: RefundIf::default() }
    }

    /// Returns whether both count the same requests of the same client, so that one of them is redundant.
    fn is_same_as(&self, other: &Limit) -> bool {
        let one = &self.limit;
        let are_alike =
            one.rate() == other.rate() && one.is_counted() && other.is_counted() && one.cost() == other.cost();
        are_alike && !other.definition().is_second.load(Ordering::Relaxed) && self.is_another_of(other)
    }

    fn is_refunded_by(&self, response: &response::Parts) -> bool {
        self.refund_if.is(response) || self.limit.definition().settings.request.refund_if.is(response)
    }

    /// Starts to refund the charge. Returns whether it has.
    fn refund(&self) -> bool {
        match Limit::change(&self.limit, Change::Settle(0)) {
            // The handler has settled the charge.
            MaybeReady::Ready(Err(AdjustError::Settled)) => return false,
            MaybeReady::Ready(Err(error)) => {
                tracing::warn!(uid = self.limit.uid(), %error, "the charge of a response was not refunded");
                return false;
            }
            MaybeReady::Ready(Ok(_)) => {}
            MaybeReady::Pending(_) => self.limit.show_as_refunded(),
        }
        true
    }

    fn is_another_of(&self, other: &Limit) -> bool {
        let (one, two) = (self.limit.definition(), other.definition());
        one.uid != two.uid && one.settings.strategy == two.settings.strategy && self.limit.client() == other.client()
    }
}

impl Ledger {
    pub(super) fn new(traffik: Traffik, is_watched: bool) -> Self {
        Self {
            traffik,
            is_watched: AtomicBool::new(is_watched),
            has_entries: AtomicBool::new(false),
            may_refund: AtomicBool::new(false),
            is_exposed: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            entries: Mutex::default(),
        }
    }

    pub(super) fn traffik(&self) -> &Traffik {
        &self.traffik
    }

    pub(super) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    /// Records the limits of one decision, except those that were charged before.
    ///
    /// `refund_if` returns the conditions of the place for a throttle. They hold also for what was charged before.
    pub(super) fn record<'r>(&self, limits: &Limits, refund_if: impl Fn(&Definition) -> Option<&'r RefundIf>) {
        let is_charged = limits.is_admitted();
        let mut entries = self.lock();
        let before = entries.len();
        for limit in limits.shared() {
            let refund_if = refund_if(limit.definition());
            if let Some(earlier) = entries.iter_mut().take(before).find(|one| Shared::ptr_eq(&one.limit, limit)) {
                self.may_refund.fetch_or(earlier.charged && refund_if.is_some(), Ordering::Relaxed);
                refund_if.into_iter().for_each(|refund_if| earlier.refund_if.add_all(refund_if));
                continue;
            }
            let refund_if = refund_if.cloned().unwrap_or_default();
            if let Some(earlier) = entries.iter().take(before).find(|earlier| earlier.is_same_as(limit)) {
                self.warn_of_duplicate(&earlier.limit, limit);
            }
            entries.push(self.entry(limit, is_charged, refund_if));
        }
        self.has_entries.store(true, Ordering::Release);
    }

    /// Records the limits of a check that a handler made, which holds the permits itself. Once the response has its fields,
    /// nobody reads them: a task of the handler may check as long as it likes.
    pub(super) fn record_check(&self, limits: &Limits) {
        let mut entries = self.lock();
        if self.has_ended.load(Ordering::Relaxed) {
            return;
        }
        for limit in limits.shared() {
            let entry = if limit.definition().is_held {
                LedgerEntry { passed: limit.is_unchecked(), ..LedgerEntry::uncharged(Shared::new(limit.snapshot())) }
            } else {
                self.entry(limit, limits.is_admitted(), RefundIf::default())
            };
            // Without a layer nothing ends the ledger, so the last check of a client takes the place of the one before.
            let is_replaced = |earlier: &&mut LedgerEntry| {
                earlier.limit.is_of_same_entry(limit)
                    && (earlier.passed, earlier.charged) == (entry.passed, entry.charged)
            };
            match entries.iter_mut().find(is_replaced).filter(|_| !self.is_watched()) {
                Some(earlier) => *earlier = entry,
                None => entries.push(entry),
            }
        }
        self.has_entries.store(true, Ordering::Release);
    }

    fn entry(&self, limit: &Shared<Limit>, is_charged: bool, refund_if: RefundIf) -> LedgerEntry {
        let charged = is_charged && limit.is_chargeable();
        let passed = is_charged && (limit.is_counted() || limit.is_unchecked());
        let may_refund = !refund_if.is_never() || !limit.definition().settings.request.refund_if.is_never();
        if charged && may_refund {
            self.may_refund.store(true, Ordering::Relaxed);
        }
        LedgerEntry { limit: Shared::clone(limit), charged, passed, refund_if }
    }

    /// Forgets the limits, once the response has its fields or the request was dropped.
    pub(super) fn end(&self) {
        let mut entries = self.lock();
        self.has_ended.store(true, Ordering::Relaxed);
        let ended = std::mem::take(&mut *entries);
        drop(entries);
        // Permits are given back without the lock.
        drop(ended);
    }

    /// Records the limits that refuse the request, except those that it met.
    #[cold]
    pub(super) fn record_others(&self, limits: &Limits) {
        let mut entries = self.lock();
        for limit in limits.shared() {
            let is_same = |met: &LedgerEntry| met.limit.is_of_same_entry(limit);
            if !entries.iter().any(is_same) {
                entries.push(LedgerEntry::uncharged(Shared::clone(limit)));
            }
        }
    }

    /// Returns the limits that the request met, once each, as they stand now. `None` if none counted the request.
    pub(super) fn snapshot(&self) -> Option<Limits> {
        let entries = self.lock();
        let limits = entries.iter().map(|entry| &*entry.limit);
        let counted = limits.filter(|limit| limit.is_counted() || limit.is_unchecked());
        Limits::snapshot_of(last_of_each(counted).into_iter())
    }

    pub(super) fn is_exposed(&self) -> bool {
        self.is_exposed.load(Ordering::Relaxed)
    }

    /// Returns the limit as it was when this throttle was charged for the same client earlier in the request.
    ///
    /// Includes limits that were admitted unchecked: a call without an answer may have charged, and is not repeated.
    #[inline]
    pub(super) fn charged_before(
        &self,
        definition: &Arc<Definition>,
        client: &Client,
        backend: BackendIndex,
    ) -> Option<Shared<Limit>> {
        if !self.has_entries.load(Ordering::Acquire) {
            return None;
        }
        // A definition belongs to one handle. Another app has another definition of the same throttle type.
        let is_it = |entry: &&LedgerEntry| entry.passed && entry.limit.is_of_entry(definition, client, backend);
        self.lock().iter().rev().find(is_it).map(|entry| Shared::clone(&entry.limit))
    }

    /// Warns about two limits that differ only in their uids, once for each limit that is met second.
    #[cold]
    fn warn_of_duplicate(&self, first: &Limit, second: &Limit) {
        let (first, second) = (first.definition(), second.definition());
        let warning = Warning::LimitedTwice;
        if !second.is_second.swap(true, Ordering::Relaxed)
            && self.traffik.warnings().is_first(warning, Some(&second.uid))
        {
            warn_of!(
                warning,
                first = &*first.uid,
                second = &*second.uid,
                "a request met two limits that differ only in their uids, for instance in a layer and on a handler, and was \
                 charged twice: to charge it once, use the same throttle in both places"
            );
        }
    }

    /// Warns about permits that end now, because only this ledger holds them, although the response goes on.
    #[cold]
    pub(super) fn warn_of_ending_permits(&self, what: &str) {
        let warning = Warning::PermitEndsEarly;
        for LedgerEntry { limit, .. } in self.lock().iter() {
            let ends = limit.is_held_alone() && Shared::strong_count(limit) == 1;
            if ends && self.traffik.warnings().is_first(warning, Some(limit.uid())) {
                warn_of!(
                    warning,
                    uid = limit.uid(),
                    "{what} goes on, and the permit of this limit on concurrent requests ended with the handler: move the \
                     `Throttled` argument of the handler into it, or limit the route of a streaming response with \
                     `throttle_layer`"
                );
            }
        }
    }

    /// Passes the latest state of every limit to `show`, once each.
    pub(super) fn show(&self, show: impl FnOnce(&[&Limit])) {
        show_last_of_each(&self.lock(), show);
    }

    /// Does the same without the lock.
    pub(super) fn show_mut(&mut self, show: impl FnOnce(&[&Limit])) {
        show_last_of_each(self.entries.get_mut().unwrap_or_else(PoisonError::into_inner), show);
    }

    /// Refunds all charges of the request, as far as the backends answer: the request is refused in any case.
    ///
    /// Permits are released like dropped ones. Otherwise a client that disconnects meanwhile would keep them until
    /// their leases end.
    pub(super) async fn give_back(&self) {
        let charged = |entry: &mut LedgerEntry| std::mem::take(&mut entry.charged).then(|| Shared::clone(&entry.limit));
        let charged: SmallVec<[_; 1]> = self.lock().iter_mut().filter_map(charged).collect();
        // All start before the first is awaited: a client that disconnects meanwhile loses none.
        let mut answers: SmallVec<[_; 1]> = SmallVec::new();
        for limit in &charged {
            if limit.leave() {
                limit.show_as_refunded();
            } else {
                answers.push(Limit::change(limit, Change::GiveBack));
            }
        }
        let Some(store) = charged.first().and_then(|limit| limit.store()) else { return };
        let all = async {
            for answer in answers {
                // The limit is then shown as charged, because the result is not known.
                if let Err(error) = answer.await {
                    tracing::warn!(%error, "the charges of a refused request were not refunded");
                }
            }
            Ok(())
        };
        // What takes longer is made after the response.
        if let Err(error) = within(store.clock(), store.timeout(), all).await {
            tracing::warn!(%error, "the charges of a refused request are refunded later");
        }
    }

    /// Returns whether the response may refund a charge.
    pub(super) fn may_refund(&self) -> bool {
        self.may_refund.load(Ordering::Relaxed)
    }

    /// Starts to refund the charges whose conditions the response meets. They are shown as refunded, although a backend may
    /// learn of it later.
    ///
    /// Conditions and strategies of the application run without the lock: they may read the limits of the request.
    pub(super) fn refund_by(&self, response: &response::Parts) {
        let entries = self.lock().clone();
        for (place, entry) in entries.iter().enumerate() {
            if entry.charged && entry.is_refunded_by(response) && !entry.limit.is_left_to_body() && entry.refund() {
                self.lock().get_mut(place).into_iter().for_each(|entry| entry.charged = false);
            }
        }
    }

    pub(super) fn has_charges(&self) -> bool {
        self.lock().iter().any(|met| met.charged)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show_last_of_each(entries: &[LedgerEntry], show: impl FnOnce(&[&Limit])) {
    match entries {
        [only] if only.limit.is_shown() => show(&[&*only.limit]),
        _ => show(&last_of_each(entries.iter().map(|entry| &*entry.limit).filter(|limit| limit.is_shown()))),
    }
}

/// Returns each throttle once, as it stood last. Of several clients in one decision, the tightest limit is returned.
pub(super) fn last_of_each<'l>(all: impl Iterator<Item = &'l Limit>) -> SmallVec<[&'l Limit; 4]> {
    let mut limits: SmallVec<[&Limit; 4]> = SmallVec::new();
    for limit in all {
        match limits.iter_mut().find(|earlier| earlier.uid() == limit.uid()) {
            // A charge that was settled since shows how the client stands.
            Some(earlier) if earlier.changed_at() > limit.changed_at() => {}
            Some(earlier) if is_of_one_decision(earlier, limit) && earlier.is_tighter_than(limit) => {}
            Some(earlier) => *earlier = limit,
            None => limits.push(limit),
        }
    }
    limits
}

fn is_of_one_decision(one: &Limit, other: &Limit) -> bool {
    one.changed_at() == other.changed_at() && one.client() != other.client()
}
