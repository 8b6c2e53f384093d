//! A simple backend with a selectable fault.

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};
use traffik::{
    backend::{Adjusted, Answer, Backend, BackendError, Control, ControlRequest, MaybeReady},
    client::{Key, Part},
    clock::{Clock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit, HitTally, Outcome},
    strategy::{SettleError, StoredState, Strategy},
    test::ManualClock,
};

use crate::owned::{adjustments_of, charges_of, hits_of, owned};

/// The faults that a backend can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// A refusal charges the part that fits.
    CountsRefusals,
    /// Each hit is charged if it fits, whatever comes after it.
    ChargesOneByOne,
    /// Two hits on one entry each see the state before the call.
    AddsNothingUp,
    /// Its clock is a microsecond ahead of the time that it reports.
    IsAheadByAMicrosecond,
    /// Its time is in milliseconds.
    KnowsMilliseconds,
    /// An entry is removed a millisecond before it expires.
    ForgetsEarly,
    /// A cost of 0 costs 1.
    ChargesTheFree,
    /// Sums start again at 0 on overflow.
    WrapsSums,
    /// A decision without hits is an error.
    NeedsHits,
    /// A refund without an entry is an error.
    NeedsCharges,
    /// The settings of a strategy are part of its key.
    KeepsSettingsApart,
    /// All namespaces share their entries.
    SharesNamespaces,
    /// The uid and the client are joined without a separator.
    JoinsNames,
    /// Whitespace around a text is ignored.
    TrimsTexts,
    /// Costs are counted in 32 bits.
    CountsIn32Bits,
    IgnoresRefunds,
    /// A refund at any later time counts like one right after the charge.
    IgnoresWhenCharged,
    /// A call starts when its answer is polled.
    WaitsToBePolled,
    /// A refund returns the whole charge.
    RefundsTooMuch,
    /// It counts a refund per hit and ignores the rest of the call.
    RefundsTheFirst,
    IgnoresResets,
    /// A reset clears all limits of a client.
    ResetsTheClient,
    ClearsNothing,
    /// It clears all namespaces that begin with its own name.
    ClearsByBeginning,
    /// Parts of a key are joined.
    JoinsKeys,
    /// All strategies share an entry.
    ForgetsTheStrategy,
    /// Keys ignore the case of letters.
    IgnoresCase,
    /// It reads, and later writes the state that it read.
    WritesLate,
    /// A peek charges.
    ChargesPeeks,
    ChargesTheUnlimited,
    /// It reads the stored state as if it was written at the current rate.
    ForgetsTheRate,
    /// It treats a state from a clock that was ahead as expired.
    ForgetsTheFuture,
    /// A refusal writes nothing, even if the clock went back.
    NotesNoTime,
    /// Outcomes are in the order of their costs.
    SortsOutcomes,
    /// A renewal reports success and does nothing.
    IgnoresRenewals,
    /// A renewal is a refund, and later a decision.
    RenewsInTwoSteps,
    /// A renewal extends whatever is stored.
    RenewsOnlyWhatIsHeld,
    /// A renewal requires room, whether or not the permit is held.
    RenewsByTheLimit,
    /// Several renewals are one decision.
    RenewsTogether,
    StaysOpen,
    ClosesOnce,
    /// A lower cost gives back all of the difference.
    GivesBackTheDifference,
    /// A higher cost has to fit.
    ChargesWhatFits,
    /// A higher cost is charged at the time of the charge.
    ChargesInThePast,
    /// A settlement that fails is charged as far as there is room.
    KeepsFailures,
    /// One settlement that fails ends the call.
    SettlesTogether,
    /// One custom strategy that panics ends the call.
    PanicsTogether,
    /// A settlement reads, and writes what it read some time later.
    SettlesLate,
    /// What fits is the highest cost or nothing.
    IgnoresTheLowest,
    /// What fits is the lowest cost.
    GrantsTheLowest,
    /// Each hit of a tuple gets what fits its own limit.
    GrantsEachItsOwn,
    /// What does not fit is granted as well.
    GrantsBelowTheLowest,
    EnforcesAll,
    /// What is not enforced is never charged.
    SkipsUnenforced,
    /// What is not enforced is charged by itself.
    ChargesUnenforcedAlone,
    /// Each read returns all settings.
    ForgetsVersions,
    /// A setting is replaced whatever its value is.
    ReplacesAlways,
    /// No setting and an empty one are the same.
    MixesUpEmpty,
    /// Names of settings are trimmed.
    TrimsSettings,
    ClearsSettings,
    SharesSettings,
    /// Settings are read, and written some time later.
    ReplacesLate,
}

pub(super) type Entries = Arc<Mutex<HashMap<Name, StoredState>>>;

/// The version and the settings of each namespace.
pub(super) type AllSettings = Arc<Mutex<HashMap<String, (u64, BTreeMap<String, String>)>>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    namespace: String,
    uid: String,
    strategy: String,
    client: String,
}

#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) namespace: String,
    pub(super) clock: ManualClock,
    pub(super) fault: Fault,
    /// The entries of all namespaces.
    pub(super) entries: Entries,
    pub(super) settings: AllSettings,
    pub(super) closed: Mutex<bool>,
    /// Changes when a call begins.
    pub(super) begun: watch::Sender<()>,
}

impl Faulty {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn open(&self) -> Result<MutexGuard<'_, HashMap<Name, StoredState>>, BackendError> {
        let closed = *self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if closed && !self.has(Fault::StaysOpen) {
            return Err(BackendError::Closed);
        }
        Ok(self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the time of the decision.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        match self.fault {
            Fault::IsAheadByAMicrosecond => now.saturating_add(Duration::from_micros(1)),
            Fault::KnowsMilliseconds => Timestamp::from_micros(now.as_micros() / 1000 * 1000),
            _ => now,
        }
    }

    fn name(&self, hit: &Hit<'_>) -> Name {
        let bytes = hit.key.to_bytes();
        let client = match self.fault {
            Fault::JoinsKeys => joined(hit.key),
            Fault::JoinsNames => format!("{}:{}", hit.limit.uid(), joined(hit.key)),
            Fault::TrimsTexts => joined(hit.key).trim().to_owned(),
            Fault::IgnoresCase => format!("{:?}", bytes.to_ascii_lowercase()),
            _ => format!("{bytes:?}"),
        };
        let strategy = match self.fault {
            Fault::ForgetsTheStrategy => String::new(),
            Fault::KeepsSettingsApart => format!("{:?}", hit.limit.strategy()),
            _ => hit.limit.strategy().name().to_owned(),
        };
        let uid = if self.has(Fault::JoinsNames) { "" } else { hit.limit.uid() };
        let namespace = if self.has(Fault::SharesNamespaces) { "" } else { &self.namespace };
        Name { namespace: namespace.to_owned(), uid: uid.to_owned(), strategy, client }
    }

    fn known(&self, entries: &HashMap<Name, StoredState>, hit: &Hit<'_>) -> Option<StoredState> {
        let mut past = entries.get(&self.name(hit)).cloned()?;
        let now = self.now();
        let is_of_the_future = hit.limit.strategy().clamped_to(&past, now).is_some();
        let is_old = past.state.expires() <= now.saturating_add(Duration::from_millis(1));
        match self.fault {
            Fault::ForgetsTheRate => past.rate = hit.rate,
            Fault::ForgetsTheFuture if is_of_the_future => return None,
            Fault::ForgetsEarly if is_old => return None,
            _ => {}
        }
        Some(past)
    }

    /// Returns the outcome of the hits, and the states to store.
    fn decide_by(
        &self,
        entries: &HashMap<Name, StoredState>,
        hits: &[Hit<'_>],
    ) -> (Decision, Vec<(Name, Option<StoredState>)>) {
        if !hits.iter().all(Hit::is_plain) {
            return self.tally(entries, hits);
        }
        let now = self.now();
        let mut before: HashMap<Name, Option<StoredState>> = HashMap::new();
        let mut after: HashMap<Name, Option<StoredState>> = HashMap::new();
        let mut tried: HashMap<Name, (bool, u64)> = HashMap::new();
        let (mut outcomes, mut changed, mut rewound) = (Vec::new(), Vec::new(), Vec::new());
        for hit in hits {
            let name = self.name(hit);
            if hit.rate.is_unlimited() && !self.has(Fault::ChargesTheUnlimited) {
                outcomes.push(Outcome::new(true, hit.cost, now));
                continue;
            }
            let rate = if hit.rate.is_unlimited() { traffik::Rate::literal("5/min") } else { hit.rate };
            if !before.contains_key(&name) {
                let known = hit.limit.strategy().decide(self.known(entries, hit), rate, 0, now);
                if known.is_new && !self.has(Fault::NotesNoTime) {
                    rewound.push((name.clone(), known.past.clone()));
                }
                before.insert(name.clone(), known.past.clone());
                after.insert(name.clone(), known.past);
            }
            let asked = match self.fault {
                Fault::CountsIn32Bits => hit.cost & 0xFFFF_FFFF,
                Fault::ChargesTheFree => hit.cost.max(1),
                _ => hit.cost,
            };
            let base = if self.has(Fault::AddsNothingUp) { &before } else { &after };
            let verdict = hit.limit.strategy().decide(base.get(&name).cloned().flatten(), rate, asked, now);
            let (fits, cost) = tried.entry(name.clone()).or_insert((true, 0));
            *fits &= verdict.admitted;
            let is_wrapped = self.has(Fault::WrapsSums);
            *cost = if is_wrapped { cost.wrapping_add(hit.cost) } else { cost.saturating_add(hit.cost) };
            outcomes.push(Outcome::new(*fits, *cost, self.clock.now()).with_granted(hit.cost));
            if verdict.admitted && verdict.is_new {
                after.insert(name.clone(), verdict.past.clone());
                changed.push((name, verdict.past));
            } else if self.has(Fault::CountsRefusals) {
                let left = hit.limit.strategy().available(after.get(&name).cloned().flatten().as_ref(), rate, now);
                if left > 0 {
                    let past = hit.limit.strategy().decide(after.get(&name).cloned().flatten(), rate, 1, now).past;
                    changed.push((name, past));
                }
            }
        }
        let all_fit = outcomes.iter().all(|outcome| outcome.admitted);
        let charged = all_fit || matches!(self.fault, Fault::ChargesOneByOne | Fault::CountsRefusals);
        for (outcome, hit) in outcomes.iter_mut().zip(hits).filter(|(_, hit)| !hit.rate.is_unlimited()) {
            let found = if all_fit { &after } else { &before };
            outcome.past = found.get(&self.name(hit)).cloned().flatten();
        }
        if self.has(Fault::SortsOutcomes) {
            outcomes.sort_by_key(|outcome| outcome.cost);
        }
        rewound.extend(if charged { changed } else { Vec::new() });
        (outcomes.into_iter().collect(), rewound)
    }

    /// Returns a hit that is not plain, as the fault reads it.
    fn misread<'a>(&self, entries: &HashMap<Name, StoredState>, hit: Hit<'a>) -> Hit<'a> {
        let mut read = match self.fault {
            Fault::IgnoresTheLowest => hit.costing(hit.cost),
            Fault::GrantsTheLowest => hit.costing(hit.at_least),
            Fault::GrantsEachItsOwn => {
                let mut alone = HitTally::new(self.now());
                alone.add(&hit, self.name(&hit), || self.known(entries, &hit));
                hit.costing(alone.peek().outcomes().first().map_or(hit.cost, |outcome| outcome.granted))
            }
            Fault::GrantsBelowTheLowest => hit.at_least(0),
            Fault::SkipsUnenforced if !hit.enforced => hit.costing(0),
            _ => hit,
        };
        read.enforced |= self.has(Fault::EnforcesAll);
        read
    }

    /// Decides about hits that are not plain.
    fn tally(
        &self,
        entries: &HashMap<Name, StoredState>,
        hits: &[Hit<'_>],
    ) -> (Decision, Vec<(Name, Option<StoredState>)>) {
        let hits: Vec<_> = hits.iter().map(|hit| self.misread(entries, *hit)).collect();
        let mut tally = HitTally::new(self.now());
        hits.iter().for_each(|hit| tally.add(hit, self.name(hit), || self.known(entries, hit)));
        let decision = tally.decide();
        let changed = tally.entries_mut().iter_mut().filter(|entry| entry.is_new());
        let mut changes: Vec<_> = changed.map(|entry| (entry.key().clone(), entry.take_past())).collect();
        if self.has(Fault::ChargesUnenforcedAlone) && !decision.is_admitted() {
            let dry: Vec<_> = hits.iter().filter(|hit| !hit.enforced).map(|hit| hit.costing(hit.cost)).collect();
            let mut tally = HitTally::new(self.now());
            dry.iter().for_each(|hit| tally.add(hit, self.name(hit), || self.known(entries, hit)));
            let _ = tally.decide();
            changes.extend(tally.entries_mut().iter_mut().map(|entry| (entry.key().clone(), entry.take_past())));
        }
        (decision, changes)
    }

    fn peek_by(&self, entries: &HashMap<Name, StoredState>, hits: &[Hit<'_>]) -> Decision {
        let (decision, _) = self.decide_by(entries, hits);
        let outcomes = decision.outcomes().iter().zip(hits).map(|(outcome, hit)| {
            let limited = !hit.rate.is_unlimited();
            let known = self.known(entries, hit).filter(|_| limited);
            let past = known.and_then(|past| hit.limit.strategy().decide(Some(past), hit.rate, 0, self.now()).past);
            outcome.clone().with_past(past)
        });
        outcomes.collect()
    }
}

impl Faulty {
    /// Settles one charge: its outcome, and what is to be stored.
    fn settle(
        &self,
        stored: Option<StoredState>,
        Adjustment { charge: Charge { hit, at, .. }, actual, .. }: &Adjustment<'_>,
    ) -> (Adjusted, Option<(Name, Option<StoredState>)>) {
        let (now, strategy) = (self.now(), hit.limit.strategy());
        let outcome = Outcome::new(true, *actual, now);
        if hit.rate.is_unlimited() {
            return (Ok(outcome), None);
        }
        let charged_at = if self.has(Fault::IgnoresWhenCharged) { now } else { *at };
        let known = strategy.current(stored.clone(), now).past;
        let settled = match self.fault {
            Fault::RefundsTooMuch if *actual < hit.cost => strategy.settle(known, hit.rate, u64::MAX, 0, now, now),
            Fault::GivesBackTheDifference if (1..hit.cost).contains(actual) => {
                strategy.settle(known, hit.rate, hit.cost - actual, 0, *at, now)
            }
            Fault::ChargesWhatFits if *actual > hit.cost => {
                let verdict = strategy.decide(known, hit.rate, actual - hit.cost, now);
                let error = SettleError::Indivisible { strategy: strategy.name() };
                if verdict.admitted { Ok(verdict) } else { Err(error) }
            }
            Fault::ChargesInThePast if *actual > hit.cost => {
                strategy.settle(known, hit.rate, hit.cost, *actual, charged_at, charged_at)
            }
            _ => strategy.settle(stored.clone(), hit.rate, hit.cost, *actual, charged_at, now),
        };
        let (outcome, past) = match settled {
            Ok(settled) => {
                let alive = settled.past.clone().filter(|past| past.is_alive(now));
                (Ok(outcome.with_past(alive)), settled.past.filter(|_| settled.is_new))
            }
            Err(error) if self.has(Fault::KeepsFailures) => {
                (Err(error.into()), strategy.decide(stored, hit.rate, 1, now).past)
            }
            Err(error) => (Err(error.into()), None),
        };
        (outcome, past.map(|past| (self.name(hit), Some(past))))
    }

    fn renew_one(&self, entries: &mut HashMap<Name, StoredState>, charge: &Charge<'_>) -> Option<Timestamp> {
        let (Charge { hit, at: charged_at, .. }, now) = (charge, self.now());
        let known = self.known(entries, hit);
        if self.has(Fault::RenewsOnlyWhatIsHeld) && known.is_none() {
            return None;
        }
        let renewed = match known {
            Some(past) if self.has(Fault::RenewsByTheLimit) => {
                let (rate, state) = (past.rate, hit.limit.strategy().refund(past, hit.cost, *charged_at, now));
                hit.limit.strategy().decide(Some(StoredState { state, rate }), hit.rate, hit.cost, now)
            }
            known => hit.limit.strategy().renew(known, hit.rate, hit.cost, *charged_at, now),
        };
        if !hit.rate.is_unlimited() {
            store(entries, vec![(self.name(hit), renewed.past)]);
        }
        renewed.admitted.then_some(self.clock.now())
    }
}

/// Returns the parts of a key as a text that does not mark where each part ends.
fn joined(key: &Key) -> String {
    let parts = key.parts().into_iter().flatten().map(|part| match part {
        Part::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    });
    parts.collect::<Vec<_>>().join(":")
}

fn store(entries: &mut HashMap<Name, StoredState>, changes: Vec<(Name, Option<StoredState>)>) {
    entries.extend(changes.into_iter().filter_map(|(name, past)| past.map(|past| (name, past))));
}

impl Backend for Faulty {
    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let owned = owned(hits);
        self.begun(async move {
            let hits = &hits_of(&owned)[..];
            if hits.is_empty() && self.has(Fault::NeedsHits) {
                return Err(BackendError::unavailable("no hits"));
            }
            if self.has(Fault::WritesLate) {
                let (decision, changes) = self.decide_by(&*self.open()?, hits);
                self.let_another_begin().await;
                store(&mut *self.open()?, changes);
                return Ok(decision);
            }
            let mut entries = self.open()?;
            let (decision, changes) = self.decide_by(&entries, hits);
            store(&mut entries, changes);
            Ok(decision)
        })
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let owned = owned(hits);
        self.begun(async move {
            let hits = &hits_of(&owned)[..];
            let mut entries = self.open()?;
            let decision = self.peek_by(&entries, hits);
            if self.has(Fault::ChargesPeeks) {
                let (_, changes) = self.decide_by(&entries, hits);
                store(&mut entries, changes);
            }
            Ok(decision)
        })
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        let owned = owned(adjustments);
        self.begun(async move {
            let adjustments = &adjustments_of(&owned)[..];
            let most = match self.fault {
                Fault::IgnoresRefunds => 0,
                Fault::RefundsTheFirst => 1,
                _ => adjustments.len(),
            };
            let mut before = None;
            if self.has(Fault::SettlesLate) {
                before = Some(self.open()?.clone());
                self.let_another_begin().await;
            }
            let (mut entries, mut adjusted) = (self.open()?, Vec::new());
            for (place, adjustment) in adjustments.iter().enumerate() {
                if place >= most {
                    adjusted.push(Ok(Outcome::new(true, adjustment.actual, self.now())));
                    continue;
                }
                let stored = self.known(before.as_ref().unwrap_or(&entries), &adjustment.charge.hit);
                if self.has(Fault::NeedsCharges) && stored.is_none() {
                    return Err(BackendError::unavailable("no charge"));
                }
                let settle = AssertUnwindSafe(|| self.settle(stored, adjustment));
                let (outcome, change) = match catch_unwind(settle) {
                    Ok(settled) => settled,
                    Err(_) if self.has(Fault::PanicsTogether) => return Err(BackendError::unavailable("it panicked")),
                    Err(_) => (Err(BackendError::not_run("it panicked").into()), None),
                };
                store(&mut entries, change.into_iter().collect());
                if outcome.is_err() && self.has(Fault::SettlesTogether) {
                    return Err(BackendError::unavailable("one of several failed"));
                }
                adjusted.push(outcome);
            }
            Ok(adjusted)
        })
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        let owned = owned(charges);
        self.begun(async move {
            let charges = &charges_of(&owned)[..];
            if self.has(Fault::RenewsInTwoSteps) {
                self.adjust(&charges.iter().map(|charge| charge.refund()).collect::<Vec<_>>()).await?;
                self.let_another_begin().await;
                let hits: Vec<_> = charges.iter().map(|charge| charge.hit).collect();
                let mut renewed = Vec::new();
                for hit in hits {
                    let decision = self.decide(&[hit]).await?;
                    renewed.extend(decision.outcomes().iter().map(|outcome| outcome.admitted.then_some(outcome.at)));
                }
                return Ok(renewed);
            }
            let mut entries = self.open()?;
            let before = entries.clone();
            let renewed: Vec<_> = charges.iter().map(|charge| self.renew_one(&mut entries, charge)).collect();
            if self.has(Fault::IgnoresRenewals) || (self.has(Fault::RenewsTogether) && renewed.contains(&None)) {
                *entries = before;
            }
            Ok(renewed)
        })
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        let owned = match request {
            ControlRequest::Replace { name, expected, value } => {
                let name = if self.has(Fault::TrimsSettings) { name.trim() } else { name };
                Some((name.to_owned(), expected.map(str::to_owned), value.map(str::to_owned)))
            }
            _ => None,
        };
        let known = if let ControlRequest::Read { known } = request { Some(known) } else { None };
        self.begun(async move {
            drop(self.open()?);
            let namespace = if self.has(Fault::SharesSettings) { "" } else { &self.namespace };
            let is_equal = |stored: Option<&String>, expected: Option<&String>| match self.fault {
                Fault::ReplacesAlways => true,
                Fault::MixesUpEmpty => stored.map_or("", |stored| stored) == expected.map_or("", |expected| expected),
                _ => stored == expected,
            };
            let all = || self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            let list = |settings: &BTreeMap<String, String>| settings.clone().into_iter().collect();
            let mut before = None;
            if self.has(Fault::ReplacesLate) {
                before = all().get(namespace).map(|(_, settings)| settings.clone());
                self.let_another_begin().await;
            }
            let mut all = all();
            let (version, settings) = all.entry(namespace.to_owned()).or_default();
            let Some((name, expected, value)) = owned else {
                let is_known = known == Some(*version) && !self.has(Fault::ForgetsVersions);
                return Ok(Control::new(*version, (!is_known).then(|| list(settings))));
            };
            if !is_equal(before.as_ref().unwrap_or(settings).get(&name), expected.as_ref()) {
                return Ok(Control::new(*version, Some(list(settings))));
            }
            settings.remove(&name);
            settings.extend(value.map(|value| (name, value)));
            *version += 1;
            Ok(Control::replaced(*version, list(settings)))
        })
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        let owned = owned(hits);
        self.begun(async move {
            let hits = &hits_of(&owned)[..];
            let mut entries = self.open()?;
            for hit in hits.iter().filter(|_| !self.has(Fault::IgnoresResets)) {
                let reset = self.name(hit);
                let is_reset =
                    |name: &Name| *name == reset || (self.has(Fault::ResetsTheClient) && name.client == reset.client);
                entries.retain(|name, _| !is_reset(name));
            }
            Ok(())
        })
    }

    fn clear(&self) -> Answer<'_, ()> {
        self.begun(async move {
            let mut entries = self.open()?;
            if self.has(Fault::ClearsSettings) {
                self.settings.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.namespace);
            }
            let is_cleared = |name: &Name| match self.fault {
                Fault::ClearsNothing => false,
                Fault::SharesNamespaces => true,
                Fault::ClearsByBeginning => name.namespace.starts_with(&self.namespace),
                _ => name.namespace == self.namespace,
            };
            entries.retain(|name, _| !is_cleared(name));
            Ok(())
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        self.begun(async move {
            let was_closed = std::mem::replace(&mut *self.closed.lock().unwrap_or_else(PoisonError::into_inner), true);
            if was_closed && self.has(Fault::ClosesOnce) { Err(BackendError::Closed) } else { Ok(()) }
        })
    }
}

impl Faulty {
    /// Waits until another call begins: a fault shows only next to another call. A call that is alone continues.
    async fn let_another_begin(&self) {
        let mut begun = self.begun.subscribe();
        let _ = timeout(Duration::from_millis(1), begun.changed()).await;
    }

    /// Starts a call and polls it once.
    fn begun<'a, T>(&self, call: impl Future<Output = Result<T, BackendError>> + Send + 'a) -> Answer<'a, T> {
        self.begun.send_replace(());
        let mut call: Pin<Box<dyn Future<Output = _> + Send + 'a>> = Box::pin(call);
        if self.has(Fault::WaitsToBePolled) {
            return MaybeReady::Pending(call);
        }
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => MaybeReady::Ready(answer),
            Poll::Pending => MaybeReady::Pending(call),
        }
    }
}
