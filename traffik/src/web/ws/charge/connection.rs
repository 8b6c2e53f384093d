//! The limits of one connection. Their states are kept here, and no backend is asked.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use smallvec::SmallVec;
use tokio::sync::Notify;
use traffik_core::{
    clock::{AnyClock, Timestamp},
    decision::Outcome,
    strategy::{Past, Strategy},
};

use crate::{
    engine::{Check, Checks, KeptCheck, Limits},
    on_error::{Decided, DecidedBy},
    one_or_more::OneOrMore,
};

/// The state of each party's limit, in the same order.
type Pasts = SmallVec<[Option<Past>; 1]>;

#[derive(Debug)]
pub(super) struct Connection {
    parties: OneOrMore<KeptCheck>,
    kept: Arc<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// `None` while a message is decided about.
    pasts: Mutex<Option<Pasts>>,
    freed: Notify,
}

impl Connection {
    pub(super) fn new(parties: OneOrMore<KeptCheck>) -> Self {
        let pasts = parties.iter().map(|_| None).collect();
        Self { parties, kept: Arc::new(Kept { pasts: Mutex::new(Some(pasts)), freed: Notify::new() }) }
    }

    /// Adds other limits. None of the limits has been charged.
    pub(super) fn and(&self, others: &OneOrMore<KeptCheck>) -> Self {
        let mut parties = self.parties.clone();
        others.iter().for_each(|other| parties.add(other.clone(), |_, _| false));
        Self::new(parties)
    }

    pub(super) fn parties(&self) -> &OneOrMore<KeptCheck> {
        &self.parties
    }

    /// Begins a decision about one message, once no other message is decided about.
    pub(super) async fn turn(&self, cost: Option<u64>, clock: &AnyClock) -> Turn<'_> {
        Turn::new(self.take().await, &self.parties, cost, clock)
    }

    /// Takes the states, once no other message is decided about.
    ///
    /// They are handed over to no message that waits, because its future may never be polled again.
    pub(super) async fn take(&self) -> Taken {
        loop {
            let freed = self.kept.freed.notified();
            if let Some(taken) = self.take_now() {
                return taken;
            }
            freed.await;
        }
    }

    fn take_now(&self) -> Option<Taken> {
        let pasts = self.kept.lock().take()?;
        Some(Taken { pasts, kept: Arc::clone(&self.kept) })
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Option<Pasts>> {
        self.pasts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The states, which go back to the connection when this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    pasts: Pasts,
    kept: Arc<Kept>,
}

impl Deref for Taken {
    type Target = Pasts;

    fn deref(&self) -> &Pasts {
        &self.pasts
    }
}

impl DerefMut for Taken {
    fn deref_mut(&mut self) -> &mut Pasts {
        &mut self.pasts
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.kept.lock() = Some(mem::take(&mut self.pasts));
        self.kept.freed.notify_waiters();
    }
}

/// The states of counted limits once they are charged, and what of them tells how the client stands.
pub(super) type Charged = SmallVec<[Option<(Past, Past)>; 1]>;

/// A decision about one message. No other message of the connection is decided about meanwhile.
pub(super) struct Turn<'a> {
    checks: Checks<'a>,
    pasts: Taken,
    now: Timestamp,
    fits: SmallVec<[bool; 2]>,
}

impl<'a> Turn<'a> {
    /// Nothing is charged yet.
    pub(super) fn new(
        mut pasts: Taken,
        parties: &'a OneOrMore<KeptCheck>,
        cost: Option<u64>,
        clock: &AnyClock,
    ) -> Self {
        let (checks, now) = (parties.map(|check| check.costing(cost)), clock.now());
        let fits = checks.iter().zip(pasts.iter_mut()).map(|(check, past)| {
            let strategy = check.strategy();
            if !check.is_counted() {
                return true;
            }
            *past = strategy.present(past.clone(), now).past;
            strategy.fits(past.as_ref(), check.rate, check.cost, now)
        });
        Self { fits: fits.collect(), checks, pasts, now }
    }

    /// Whether all limits have room.
    pub(super) fn fits(&self) -> bool {
        self.fits.iter().all(|fits| *fits)
    }

    /// Charges all limits if all have room.
    pub(super) fn decide(self) -> Limits {
        if self.fits() {
            let charged = self.charged();
            self.charge(charged)
        } else {
            self.leave()
        }
    }

    /// What is stored once all limits are charged. Nothing changes before, since a custom strategy may panic.
    pub(super) fn charged(&self) -> Charged {
        let charge = |(check, past): (&Check<'_>, &Option<Past>)| {
            let (strategy, rate) = (check.strategy(), check.rate);
            check.is_counted().then(|| {
                let past = Past { state: strategy.charge(past.clone(), rate, check.cost, self.now), rate };
                let summary = strategy.outline(&past, rate, check.cost, self.now);
                (past, summary)
            })
        };
        self.checks.iter().zip(self.pasts.iter()).map(charge).collect()
    }

    fn charge(mut self, charged: Charged) -> Limits {
        let mut summaries = Pasts::new();
        for (past, charged) in self.pasts.iter_mut().zip(charged) {
            let summary = charged.map(|(charged, summary)| {
                *past = Some(charged);
                summary
            });
            summaries.push(summary);
        }
        self.tell(summaries)
    }

    /// Charges nothing.
    pub(super) fn leave(self) -> Limits {
        let summary =
            |(check, past): (&Check<'_>, &Option<Past>)| past.as_ref().and_then(|past| summary(past, check, self.now));
        let summaries = self.checks.iter().zip(self.pasts.iter()).map(summary).collect();
        self.tell(summaries)
    }

    /// Charges all limits if the backend did.
    pub(super) fn follow(self, charged: Charged, limits: Limits) -> Limits {
        let own = if limits.is_admitted() { self.charge(charged) } else { self.leave() };
        limits.with(&own)
    }

    fn tell(self, summaries: Pasts) -> Limits {
        let Self { checks, fits, now, .. } = self;
        let outcome = |((check, past), admitted): ((&Check<'_>, Option<Past>), &bool)| {
            check.is_counted().then_some(Outcome { admitted: *admitted, past, cost: check.cost, at: now })
        };
        let decision = checks.iter().zip(summaries).zip(&fits).filter_map(outcome).collect();
        Limits::new(checks, Decided { decision, by: DecidedBy::Primary })
    }
}

/// What of a state tells how the client stands.
fn summary(past: &Past, check: &Check<'_>, now: Timestamp) -> Option<Past> {
    check.is_counted().then(|| check.strategy().outline(past, check.rate, check.cost, now))
}
