//! The limits of one connection: what they store is kept here, and no backend is asked.

use smallvec::SmallVec;
use tokio::sync::{Mutex, MutexGuard};

use super::Party;
use crate::{
    app::Asked,
    clock::{AnyClock, Timestamp},
    decision::Outcome,
    limits::{Judge, Limits},
    one_or_more::OneOrMore,
    strategy::{Past, Strategy},
};

/// What is stored for each party, in the same order.
type Pasts = SmallVec<[Option<Past>; 1]>;

#[derive(Debug)]
pub(super) struct Connection {
    parties: OneOrMore<Party>,
    /// Held across the backend's decision where there is one, so that both are one decision.
    pasts: Mutex<Pasts>,
}

impl Connection {
    pub(super) fn new(parties: OneOrMore<Party>) -> Self {
        let pasts = parties.iter().map(|_| None).collect();
        Self { parties, pasts: Mutex::new(pasts) }
    }

    /// These and others, none of which was charged.
    pub(super) fn and(&self, others: &OneOrMore<Party>) -> Self {
        let mut parties = self.parties.clone();
        others.iter().for_each(|other| parties.add(other.clone(), |_, _| false));
        Self::new(parties)
    }

    pub(super) fn parties(&self) -> &OneOrMore<Party> {
        &self.parties
    }

    /// Has the turn, unless somebody else has.
    pub(super) fn turn_now(&self, cost: Option<u64>, clock: &AnyClock) -> Option<Turn<'_>> {
        Some(Turn::new(&self.parties, self.pasts.try_lock().ok()?, cost, clock))
    }

    /// Has the turn after those who came before.
    pub(super) async fn turn(&self, cost: Option<u64>, clock: &AnyClock) -> Turn<'_> {
        Turn::new(&self.parties, self.pasts.lock().await, cost, clock)
    }
}

/// One message is decided about, and no other meanwhile. Nothing is charged until it says so.
pub(super) struct Turn<'a> {
    asked: OneOrMore<Asked<'a>>,
    pasts: MutexGuard<'a, Pasts>,
    now: Timestamp,
    fits: SmallVec<[bool; 2]>,
}

impl<'a> Turn<'a> {
    fn new(
        parties: &'a OneOrMore<Party>,
        mut pasts: MutexGuard<'a, Pasts>,
        cost: Option<u64>,
        clock: &AnyClock,
    ) -> Self {
        let (asked, now) = (Party::ask(parties, cost), clock.now());
        let fits = asked.iter().zip(pasts.iter_mut()).map(|(asked, past)| {
            let strategy = &asked.definition.settings.strategy;
            if !asked.is_counted() {
                return true;
            }
            *past = strategy.present(past.take(), now).past;
            strategy.fits(past.as_ref(), asked.rate, asked.cost, now)
        });
        Self { fits: fits.collect(), asked, pasts, now }
    }

    /// Whether all limits have room.
    pub(super) fn fits(&self) -> bool {
        self.fits.iter().all(|fits| *fits)
    }

    /// Charges all limits.
    pub(super) fn charge(mut self) -> Limits {
        for (asked, past) in self.asked.iter().zip(self.pasts.iter_mut()).filter(|(asked, _)| asked.is_counted()) {
            let (strategy, rate) = (&asked.definition.settings.strategy, asked.rate);
            let state = strategy.charge(past.take(), rate, asked.cost, self.now);
            *past = Some(Past { state, rate });
        }
        self.tell()
    }

    /// Charges nothing.
    pub(super) fn leave(self) -> Limits {
        self.tell()
    }

    /// Does as the backend did, which was asked meanwhile.
    pub(super) fn follow(self, limits: Limits) -> Limits {
        let own = if limits.is_admitted() { self.charge() } else { self.leave() };
        limits.with(&own)
    }

    fn tell(self) -> Limits {
        let outcome = |((asked, past), admitted): ((&Asked<'_>, &Option<Past>), &bool)| {
            let strategy = &asked.definition.settings.strategy;
            let past = past.as_ref().map(|past| strategy.outline(past, asked.rate, asked.cost, self.now));
            asked.is_counted().then_some(Outcome { admitted: *admitted, past, cost: asked.cost, at: self.now })
        };
        let outcomes = self.asked.iter().zip(self.pasts.iter()).zip(&self.fits).filter_map(outcome);
        Limits::new(&self.asked, &mut outcomes.collect(), &Judge::Backend)
    }
}
