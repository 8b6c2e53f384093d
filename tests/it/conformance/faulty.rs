//! A simple backend, which has the fault that it is given.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use traffik::{
    backend::{Backend, BackendError},
    clock::{Clock, Timestamp},
    decision::{Decision, Hit, Outcome, Receipt},
    strategy::{Past, Strategy},
    test::ManualClock,
};

/// What can be wrong with a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// A refusal is charged as far as there is room.
    CountsRefusals,
    /// Each hit is charged as soon as it fits, whatever comes after it.
    ChargesOneByOne,
    /// Two hits on one entry each see what was there before.
    AddsNothingUp,
    /// Its clock is a microsecond ahead of what it tells.
    IsAheadByAMicrosecond,
    /// Its time is in milliseconds.
    KnowsMilliseconds,
    /// An entry is gone a millisecond before it expires.
    ForgetsEarly,
    /// Costs are counted in 32 bits.
    CountsIn32Bits,
    IgnoresRefunds,
    /// A refund is as good as one right after the charge.
    IgnoresWhenCharged,
    /// What is decided without waiting is not written down.
    ForgetsAtOnce,
    /// A refund gives everything back.
    RefundsTooMuch,
    /// It counts a refund by the hit, whatever the rest of the call is about.
    RefundsTheFirst,
    IgnoresResets,
    /// A reset is about all limits of a client.
    ResetsTheClient,
    ClearsNothing,
    /// It clears all namespaces that begin like its own.
    ClearsByBeginning,
    /// Parts of a key are joined.
    JoinsKeys,
    /// All strategies share an entry.
    ForgetsTheStrategy,
    /// Letters of a key are taken for the small ones.
    IgnoresCase,
    /// It reads, and writes what it read some time later.
    WritesLate,
    /// What is looked at is charged.
    ChargesPeeks,
    ChargesTheUnlimited,
    /// It reads what is stored as if it was written at the rate of now.
    ForgetsTheRate,
    /// It takes what was written by a clock that was ahead for expired.
    ForgetsTheFuture,
    /// Outcomes are in the order of the uids.
    SortsOutcomes,
    StaysOpen,
    ClosesOnce,
}

pub(super) type Entries = Arc<Mutex<HashMap<Name, Past>>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    namespace: String,
    uid: String,
    strategy: &'static str,
    client: String,
}

#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) namespace: String,
    pub(super) clock: ManualClock,
    pub(super) fault: Fault,
    /// Those of all namespaces.
    pub(super) entries: Entries,
    pub(super) closed: Mutex<bool>,
}

impl Faulty {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn open(&self) -> Result<MutexGuard<'_, HashMap<Name, Past>>, BackendError> {
        let closed = *self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if closed && !self.has(Fault::StaysOpen) {
            return Err(BackendError::Closed);
        }
        Ok(self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The time to decide by.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        match self.fault {
            Fault::IsAheadByAMicrosecond => now.saturating_add(Duration::from_micros(1)),
            Fault::KnowsMilliseconds => Timestamp::from_micros(now.as_micros() / 1000 * 1000),
            _ => now,
        }
    }

    fn name(&self, hit: &Hit<'_>) -> Name {
        let joined = || hit.key.parts().map(|parts| parts.iter().map(|part| format!("{part:?}")).collect::<Vec<_>>());
        let client = match self.fault {
            Fault::JoinsKeys => joined().map_or_else(|| format!("{:?}", hit.key.to_bytes()), |parts| parts.join(":")),
            Fault::IgnoresCase => format!("{:?}", hit.key.to_bytes().to_ascii_lowercase()),
            _ => format!("{:?}", hit.key.to_bytes()),
        };
        // The quotes are what keeps parts apart that are joined.
        let client = if self.has(Fault::JoinsKeys) { client.replace('"', "") } else { client };
        let strategy = if self.has(Fault::ForgetsTheStrategy) { "" } else { hit.strategy.name() };
        Name { namespace: self.namespace.clone(), uid: hit.uid.to_owned(), strategy, client }
    }

    fn known(&self, entries: &HashMap<Name, Past>, hit: &Hit<'_>) -> Option<Past> {
        let mut past = entries.get(&self.name(hit)).cloned()?;
        let now = self.now();
        let is_of_the_future = hit.strategy.rewound(&past, now).is_some();
        let is_old = past.state.expires() <= now.saturating_add(Duration::from_millis(1));
        match self.fault {
            Fault::ForgetsTheRate => past.rate = hit.rate,
            Fault::ForgetsTheFuture if is_of_the_future => return None,
            Fault::ForgetsEarly if is_old => return None,
            _ => {}
        }
        Some(past)
    }

    /// What comes of the hits, and what is to be stored.
    fn decide_by(&self, entries: &HashMap<Name, Past>, hits: &[Hit<'_>]) -> (Decision, Vec<(Name, Option<Past>)>) {
        let now = self.now();
        let mut before: HashMap<Name, Option<Past>> = HashMap::new();
        let mut after: HashMap<Name, Option<Past>> = HashMap::new();
        let mut tried: HashMap<Name, (bool, u64)> = HashMap::new();
        let (mut outcomes, mut changed, mut rewound) = (Vec::new(), Vec::new(), Vec::new());
        for hit in hits {
            let name = self.name(hit);
            if hit.rate.is_unlimited() && !self.has(Fault::ChargesTheUnlimited) {
                outcomes.push(Outcome { admitted: true, past: None, cost: hit.cost, at: now });
                continue;
            }
            let rate = if hit.rate.is_unlimited() { traffik::Rate::literal("5/min") } else { hit.rate };
            if !before.contains_key(&name) {
                let known = hit.strategy.decide(self.known(entries, hit), rate, 0, now);
                if known.is_new {
                    rewound.push((name.clone(), known.past.clone()));
                }
                before.insert(name.clone(), known.past.clone());
                after.insert(name.clone(), known.past);
            }
            let asked = if self.has(Fault::CountsIn32Bits) { hit.cost & 0xFFFF_FFFF } else { hit.cost };
            let base = if self.has(Fault::AddsNothingUp) { &before } else { &after };
            let verdict = hit.strategy.decide(base.get(&name).cloned().flatten(), rate, asked, now);
            let (fits, cost) = tried.entry(name.clone()).or_insert((true, 0));
            *fits &= verdict.admitted;
            *cost = cost.saturating_add(hit.cost);
            outcomes.push(Outcome { admitted: *fits, past: None, cost: *cost, at: self.clock.now() });
            if verdict.admitted && verdict.is_new {
                after.insert(name.clone(), verdict.past.clone());
                changed.push((name, verdict.past));
            } else if self.has(Fault::CountsRefusals) {
                let left = hit.strategy.available(after.get(&name).cloned().flatten().as_ref(), rate, now);
                if left > 0 {
                    let past = hit.strategy.decide(after.get(&name).cloned().flatten(), rate, 1, now).past;
                    changed.push((name, past));
                }
            }
        }
        let all_fit = outcomes.iter().all(|outcome| outcome.admitted);
        let charged = all_fit || matches!(self.fault, Fault::ChargesOneByOne | Fault::CountsRefusals);
        for (outcome, hit) in outcomes.iter_mut().zip(hits).filter(|(_, hit)| !hit.rate.is_unlimited()) {
            let told = if all_fit { &after } else { &before };
            outcome.past = told.get(&self.name(hit)).cloned().flatten();
        }
        if self.has(Fault::SortsOutcomes) {
            outcomes.sort_by_key(|outcome| outcome.cost);
        }
        rewound.extend(if charged { changed } else { Vec::new() });
        (outcomes.into_iter().collect(), rewound)
    }

    fn peek_by(&self, entries: &HashMap<Name, Past>, hits: &[Hit<'_>]) -> Decision {
        let (decision, _) = self.decide_by(entries, hits);
        let outcomes = decision.outcomes().iter().zip(hits).map(|(outcome, hit)| {
            let limited = !hit.rate.is_unlimited();
            let known = self.known(entries, hit).filter(|_| limited);
            let past = known.and_then(|past| hit.strategy.decide(Some(past), hit.rate, 0, self.now()).past);
            Outcome { past, ..outcome.clone() }
        });
        outcomes.collect()
    }
}

fn store(entries: &mut HashMap<Name, Past>, changes: Vec<(Name, Option<Past>)>) {
    entries.extend(changes.into_iter().filter_map(|(name, past)| past.map(|past| (name, past))));
}

impl Backend for Faulty {
    fn namespace(&self) -> &str {
        &self.namespace
    }

    async fn decide(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let (decision, changes) = self.decide_by(&*self.open()?, hits);
        if self.has(Fault::WritesLate) {
            tokio::task::yield_now().await;
        }
        store(&mut *self.open()?, changes);
        Ok(decision)
    }

    fn decide_now(&self, hits: &[Hit<'_>]) -> Option<Result<Decision, BackendError>> {
        if self.has(Fault::WritesLate) {
            return None;
        }
        Some(self.open().map(|mut entries| {
            let (decision, changes) = self.decide_by(&entries, hits);
            if !self.has(Fault::ForgetsAtOnce) {
                store(&mut entries, changes);
            }
            decision
        }))
    }

    async fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let mut entries = self.open()?;
        let decision = self.peek_by(&entries, hits);
        if self.has(Fault::ChargesPeeks) {
            let (_, changes) = self.decide_by(&entries, hits);
            store(&mut entries, changes);
        }
        Ok(decision)
    }

    async fn refund(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        let (mut entries, now) = (self.open()?, self.now());
        let most = match self.fault {
            Fault::IgnoresRefunds => 0,
            Fault::RefundsTheFirst => 1,
            _ => receipts.len(),
        };
        for Receipt { hit, charged_at } in receipts.iter().take(most).filter(|one| !one.hit.rate.is_unlimited()) {
            let known = hit.strategy.decide(self.known(&entries, hit), hit.rate, 0, now).past;
            let name = self.name(hit);
            entries.remove(&name);
            let Some(past) = known.filter(|_| !self.has(Fault::RefundsTooMuch)) else { continue };
            let charged_at = if self.has(Fault::IgnoresWhenCharged) { now } else { *charged_at };
            let (rate, state) = (past.rate, hit.strategy.refund(past, hit.cost, charged_at, now));
            entries.insert(name, Past { state, rate });
        }
        Ok(())
    }

    async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        let mut entries = self.open()?;
        for hit in hits.iter().filter(|_| !self.has(Fault::IgnoresResets)) {
            let reset = self.name(hit);
            let is_reset =
                |name: &Name| *name == reset || (self.has(Fault::ResetsTheClient) && name.client == reset.client);
            entries.retain(|name, _| !is_reset(name));
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), BackendError> {
        let mut entries = self.open()?;
        let is_cleared = |name: &Name| match self.fault {
            Fault::ClearsNothing => false,
            Fault::ClearsByBeginning => name.namespace.starts_with(&self.namespace),
            _ => name.namespace == self.namespace,
        };
        entries.retain(|name, _| !is_cleared(name));
        Ok(())
    }

    async fn close(&self) -> Result<(), BackendError> {
        let was_closed = std::mem::replace(&mut *self.closed.lock().unwrap_or_else(PoisonError::into_inner), true);
        if was_closed && self.has(Fault::ClosesOnce) { Err(BackendError::Closed) } else { Ok(()) }
    }
}
