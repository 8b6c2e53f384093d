//! Runs the operations of a namespace: in one call, by compare and swap, or slot by slot.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use tokio::time::Instant;
use traffik_core::{
    backend::{Adjusted, AdjustmentError, Answer, BackendError, Control, ControlRequest, MaybeReady},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit, Outcome},
};

use crate::{
    answer,
    by_swap::{self, Stored, Turns},
    calls::{Calls, Exchange},
    client::{Client, UnexpectedReply},
    control,
    instruments::Count,
    keys::Keys,
    owned::{Owned, adjustments_of, charges_of, hits_of, owned},
    places::{Amount, Places, Slots, refunds},
    question::{MAX_CHARGE, Question, Way},
    refusals::{Moment, Refusals},
    scripts::Scripts,
};

/// How often a decision over several slots peeks at how much fits, before it charges the lowest costs alone.
const LOOKS: usize = 3;

pub(crate) struct Store {
    pub(crate) namespace: String,
    pub(crate) keys: Keys,
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    pub(crate) deadline: Duration,
    turns: Turns,
    refusals: Refusals,
}

impl Store {
    /// Creates a store by the clock of the server, or by one that a test moves.
    pub(crate) fn new(
        namespace: String,
        keys: Keys,
        client: Client,
        deadline: Duration,
        by_hand: Option<AnyClock>,
        refusals: Refusals,
    ) -> Self {
        let calls = Calls::new(client.clone(), Scripts::new(by_hand), deadline);
        Self { namespace, keys, client, calls, deadline, turns: Turns::new(), refusals }
    }

    /// Returns whether the hits may be in several slots, as hits of several clients in a cluster are.
    fn are_apart(&self, hits: &[Hit<'_>]) -> bool {
        self.client.is_cluster() && hits.iter().any(|hit| Some(hit.key) != hits.first().map(|first| first.key))
    }

    fn slots(&self, hits: &[Hit<'_>]) -> Slots {
        if self.are_apart(hits) { Slots::of(hits, &self.keys) } else { Slots::one(hits.len()) }
    }

    pub(crate) fn decide(self: &Arc<Self>, hits: &[Hit<'_>]) -> Answer<'static, Decision> {
        answer_or_error(if self.are_apart(hits) { self.decide_apart(hits) } else { self.decide_in_one(hits) })
    }

    /// Decides in one call. Returns without a call if the decision is known to be a refusal.
    fn decide_in_one(self: &Arc<Self>, hits: &[Hit<'_>]) -> Result<Answer<'static, Decision>, BackendError> {
        let question = Arc::new(Question::new(&self.keys, hits)?);
        let asked = Moment::now();
        if let Some(refusal) = self.find_refusal(&question.places, hits, asked) {
            return Ok(MaybeReady::Ready(Ok(refusal)));
        }
        let store = Arc::clone(self);
        match question.way {
            Way::Here => Ok(MaybeReady::Ready(Ok(answer::all_unlimited(&question.places)))),
            Way::Script(_) => {
                let said = self.calls.decide(Arc::clone(&question))?;
                Ok(MaybeReady::pending(async move {
                    let decision = answer::decision(said.await?, &question.places)?;
                    store.refusals.remember(&question.places, &decision, [asked, Moment::now()]);
                    Ok(decision)
                }))
            }
            Way::Swap => {
                self.client.counts().add(Count::Decisions, 1);
                let owned = owned(hits);
                self.calls.start(|exchange| async move {
                    let (hits, places) = (hits_of(&owned), &question.places);
                    let decide = |stored: &Stored<'_>| by_swap::decide(&hits, places, stored);
                    let decision = by_swap::swap(&exchange, &store.turns, &places.keys, decide).await?;
                    store.refusals.remember(places, &decision, [asked, Moment::now()]);
                    Ok(decision)
                })
            }
        }
    }

    fn find_refusal(&self, places: &Places, hits: &[Hit<'_>], now: Moment) -> Option<Decision> {
        let refusal = self.refusals.find(places, hits, now)?;
        self.client.counts().add(Count::RefusedHere, 1);
        Some(refusal)
    }

    /// Decides slot by slot, in a task. If the caller is dropped in between, the task still completes the whole
    /// decision.
    fn decide_apart(self: &Arc<Self>, hits: &[Hit<'_>]) -> Result<Answer<'static, Decision>, BackendError> {
        let slots = self.slots(hits);
        // Checked before anything is charged: constant refunds would take capacity from other clients.
        if let Some(refusal) = self.find_refusal(&Places::of(hits, &self.keys)?, hits, Moment::now()) {
            return Ok(MaybeReady::Ready(Ok(refusal)));
        }
        let (store, owned, deadline) = (Arc::clone(self), owned(hits), Instant::now() + self.deadline);
        let decide = async move {
            let hits = hits_of(&owned);
            if hits.iter().all(|hit| hit.least() == hit.cost) {
                return store.decide_parts(&slots, &hits, deadline).await;
            }
            let mut looks_left = LOOKS;
            loop {
                let extra = if looks_left > 0 { store.extra(&hits).await? } else { 0 };
                looks_left = looks_left.saturating_sub(1);
                if Instant::now() >= deadline {
                    return Err(BackendError::Timeout(store.deadline));
                }
                let exact: Vec<_> = hits.iter().map(|hit| hit.costing(Amount::from(hit).granted(extra))).collect();
                let decision = store.decide_parts(&slots, &exact, deadline).await?;
                if extra == 0 || decision.is_admitted() {
                    return Ok(decision);
                }
            }
        };
        Calls::finish(decide)
    }

    /// Returns how much every hit that takes what fits can have above its lowest cost. The number is the same for all
    /// slots. Another client may use it up before this decision charges it.
    async fn extra(self: &Arc<Self>, hits: &[Hit<'_>]) -> Result<u64, BackendError> {
        let decision = self.peek(hits).await?;
        if !decision.is_admitted() {
            return Ok(0);
        }
        let granted = hits.iter().zip(decision.outcomes()).filter(|(hit, _)| Amount::from(*hit).extra().is_some());
        Ok(granted.map(|(hit, outcome)| outcome.granted.saturating_sub(hit.least())).min().unwrap_or(u64::MAX))
    }

    /// Charges each slot. Refunds the charges if one slot refuses. Asks no further slot after the deadline. Refunds
    /// have no such deadline, since an unfinished one would be lost.
    async fn decide_parts(
        self: &Arc<Self>,
        slots: &Slots,
        hits: &[Hit<'_>],
        deadline: Instant,
    ) -> Result<Decision, BackendError> {
        let parts = slots.split(hits);
        let mut charged = Vec::new();
        for part in &parts {
            let answer = async {
                if charged.is_empty() || Instant::now() < deadline {
                    answer_or_error(self.decide_in_one(part)).await
                } else {
                    Err(BackendError::Timeout(self.deadline))
                }
            };
            // A custom strategy may panic.
            let answer = match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(Ok(decision)) if decision.is_admitted() => {
                    charged.push(decision);
                    continue;
                }
                other => other,
            };
            self.give_back(&parts, &charged).await;
            return match answer {
                Ok(Ok(refusal)) => Ok(slots.join(&self.tell_refusal(&parts, &charged, &refusal).await)),
                // The earlier charges did run, and their refunds may have failed.
                Ok(Err(error)) if !charged.is_empty() => Err(BackendError::unavailable(error)),
                Ok(Err(error)) => Err(error),
                Err(panic) => resume_unwind(panic),
            };
        }
        Ok(slots.join(&charged))
    }

    async fn give_back(self: &Arc<Self>, parts: &[Vec<Hit<'_>>], charged: &[Decision]) {
        for (hits, decision) in parts.iter().zip(charged) {
            let adjusted = self.adjust(&refunds(hits, decision)).await;
            let failed =
                adjusted.map_or_else(|error| Some(error.into()), |adjusted| adjusted.into_iter().find_map(Result::err));
            if let Some(error) = failed {
                tracing::warn!(%error, "the refund of a refused request failed: it stays charged in another slot");
            }
        }
    }

    /// Returns the refusal together with the state of the limits in the other slots. If one of these cannot be peeked,
    /// uses what is already known of the rest: the decision stays a refusal.
    async fn tell_refusal(
        self: &Arc<Self>,
        parts: &[Vec<Hit<'_>>],
        charged: &[Decision],
        refusal: &Decision,
    ) -> Vec<Decision> {
        let at = refusal.outcomes().first().map_or(Timestamp::UNIX_EPOCH, |outcome| outcome.at);
        let (mut all, mut is_answered) = (Vec::new(), true);
        for (part, hits) in parts.iter().enumerate() {
            if part == charged.len() {
                all.push(refusal.clone());
                continue;
            }
            let standing = if is_answered { self.look(hits).await.ok() } else { None };
            is_answered = standing.is_some();
            let known = standing.or_else(|| charged.get(part).cloned());
            all.push(known.unwrap_or_else(|| hits.iter().map(|hit| answer::unlimited(&hit.into(), 0, at)).collect()));
        }
        all
    }

    /// Peeks at limits, and remembers the result like that of a refusal.
    async fn look(self: &Arc<Self>, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let (places, asked) = (Places::of(hits, &self.keys)?, Moment::now());
        let standing = self.peek(hits).await?;
        self.refusals.keep(&places, &standing, [asked, Moment::now()]);
        Ok(standing)
    }

    pub(crate) fn peek(self: &Arc<Self>, hits: &[Hit<'_>]) -> Answer<'static, Decision> {
        let (store, owned) = (Arc::clone(self), owned(hits));
        let peek = |slots: Slots, exchange: Arc<Exchange>| async move {
            let parts = slots.split(&hits_of(&owned));
            let answers = join_all(parts.iter().map(|part| store.peek_in_one(&exchange, part))).await;
            Ok(slots.join(&answers.into_iter().collect::<Result<Vec<_>, _>>()?))
        };
        answer_or_error(self.calls.start(|exchange| peek(self.slots(hits), exchange)))
    }

    async fn peek_in_one(&self, exchange: &Exchange, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let question = Question::new(&self.keys, hits)?;
        let places = &question.places;
        match question.way {
            Way::Here => Ok(answer::all_unlimited(places)),
            Way::Script(_) => {
                let said = exchange.ask(|programs| &programs.peek, &question, 1).await?.next();
                answer::decision(said.ok_or(UnexpectedReply("no answer"))?, places)
            }
            Way::Swap => by_swap::peek(hits, places, &by_swap::read(exchange, &places.keys).await?),
        }
    }

    /// Adjusts the charges of custom strategies entry by entry, and all others in one call per slot. If a call fails, or
    /// a custom strategy panics, the other charges are adjusted nevertheless.
    pub(crate) fn adjust(self: &Arc<Self>, adjustments: &[Adjustment<'_>]) -> Answer<'static, Vec<Adjusted>> {
        let here: Vec<_> = adjustments.iter().map(|adjustment| self.adjust_here(adjustment)).collect();
        let work = |store: Arc<Self>, exchange: Arc<Exchange>, owned: Vec<Owned>| async move {
            store.adjust_in_one(&exchange, &adjustments_of(&owned)).await
        };
        let (slots, parts) = self.start_parts(&not_here(adjustments, &here), first_on_entry, work);
        MaybeReady::pending(async move {
            let mut parts = parts.await;
            if let [_] = parts[..] {
                return Ok(with_others(here, parts.remove(0)?));
            }
            let each = |(length, part): (usize, Result<_, _>)| {
                part.unwrap_or_else(|error| vec![Err(AdjustmentError::from(error)); length])
            };
            Ok(with_others(here, slots.in_order(slots.lengths().zip(parts).map(each))))
        })
    }

    /// Returns the outcome of an adjustment that needs no call, or cannot be sent.
    fn adjust_here(&self, adjustment: &Adjustment<'_>) -> Option<Adjusted> {
        let (hit, actual) = (adjustment.charge.hit, adjustment.actual);
        if hit.rate.is_unlimited() {
            Some(Ok(Outcome::new(true, actual, AnyClock::system().now())))
        } else if Places::is_own(&hit) {
            None
        } else if hit.cost.max(actual) > MAX_CHARGE {
            Some(Err(answer::not_settled(adjustment).into()))
        } else {
            Places::of(&[hit], &self.keys).err().map(|error| Err(error.into()))
        }
    }

    /// Starts some work for each group of charges of custom strategies, and for all other charges of a slot together.
    /// Returns the positions of the charges of each part, and the result of each part.
    fn start_parts<T, F, W>(
        self: &Arc<Self>,
        charges: &[Owned],
        group_of: fn(&[Hit<'_>], usize) -> usize,
        work: F,
    ) -> (Slots, impl Future<Output = Vec<Result<T, BackendError>>> + Send + use<T, F, W>)
    where
        T: Send + 'static,
        F: Fn(Arc<Self>, Arc<Exchange>, Vec<Owned>) -> W,
        W: Future<Output = Result<T, BackendError>> + Send + 'static,
    {
        let hits = hits_of(charges);
        let slots = self.slots(&hits).grouped(|place| {
            let is_own = hits.get(place).is_some_and(Places::is_own);
            is_own.then(|| group_of(&hits, place))
        });
        let start = |part: Vec<Owned>| {
            let store = Arc::clone(self);
            let started = answer_or_error(self.calls.start(|exchange| work(store, exchange, part)));
            // A panic of a custom strategy is an error of its part only.
            let caught = AssertUnwindSafe(started.into_future()).catch_unwind();
            caught.map(|done| done.unwrap_or_else(|_| Err(BackendError::unavailable("a custom strategy panicked"))))
        };
        let parts = join_all(slots.split(charges).into_iter().map(start).collect::<Vec<_>>());
        (slots, parts)
    }

    async fn adjust_in_one(
        &self,
        exchange: &Exchange,
        adjustments: &[Adjustment<'_>],
    ) -> Result<Vec<Adjusted>, BackendError> {
        let charges = adjustments.iter().map(|adjustment| (&adjustment.charge, Some(adjustment.actual)));
        let question = Question::about(&self.keys, charges)?;
        let keys = &question.places.keys;
        let adjusted = if matches!(question.way, Way::Swap) {
            by_swap::swap(exchange, &self.turns, keys, |stored| by_swap::adjust(adjustments, stored)).await
        } else {
            let said = exchange.ask(|programs| &programs.adjust, &question, adjustments.len()).await;
            said.map(|said| {
                said.zip(adjustments).map(|(said, adjustment)| answer::adjusted(said, adjustment)).collect()
            })
        };
        self.refusals.forget(keys, Moment::now());
        adjusted
    }

    /// Renews each charge separately. Reports a charge whose renewal is uncertain as not renewed. Returns an error if
    /// an error occurred and nothing was renewed.
    pub(crate) fn renew(self: &Arc<Self>, charges: &[Charge<'_>]) -> Answer<'static, Vec<Option<Timestamp>>> {
        let now = |charge: &Charge<'_>| charge.hit.rate.is_unlimited().then(|| Some(AnyClock::system().now()));
        let here: Vec<_> = charges.iter().map(now).collect();
        let work = |store: Arc<Self>, exchange: Arc<Exchange>, owned: Vec<Owned>| async move {
            store.renew_in_one(&exchange, &charges_of(&owned)).await
        };
        let (slots, parts) = self.start_parts(&not_here(charges, &here), |_, place| place, work);
        MaybeReady::pending(async move {
            let mut failed = Vec::new();
            let not_renewed = |(length, part): (usize, Result<_, _>)| {
                part.unwrap_or_else(|error| {
                    failed.push(error);
                    vec![None; length]
                })
            };
            let renewed: Vec<_> = slots.lengths().zip(parts.await).map(not_renewed).collect();
            match gravest(failed) {
                Some(error) if renewed.iter().flatten().all(Option::is_none) => return Err(error),
                Some(error) => tracing::warn!(%error, "some charges may not have been renewed"),
                None => {}
            }
            Ok(with_others(here, slots.in_order(renewed)))
        })
    }

    async fn renew_in_one(
        &self,
        exchange: &Exchange,
        charges: &[Charge<'_>],
    ) -> Result<Vec<Option<Timestamp>>, BackendError> {
        let question = Question::about(&self.keys, charges.iter().map(|charge| (charge, None)))?;
        if let (Way::Swap, [charge]) = (question.way, charges) {
            let renew = |stored: &Stored<'_>| by_swap::renew(charge, stored);
            return Ok(vec![by_swap::swap(exchange, &self.turns, &question.places.keys, renew).await?]);
        }
        if let Some(Charge { hit, .. }) = charges.iter().find(|charge| charge.hit.cost > MAX_CHARGE) {
            let cost = hit.cost;
            let why = format!("a charge of {cost} cannot be renewed on Redis: the maximum is {MAX_CHARGE}");
            return Err(BackendError::not_run(why));
        }
        exchange.ask(|programs| &programs.renew, &question, charges.len()).await?.map(answer::renewed).collect()
    }

    pub(crate) fn control(self: &Arc<Self>, request: ControlRequest<'_>) -> Answer<'static, Control> {
        let control = |arguments| {
            let keys = [self.keys.control()];
            let run = |exchange: Arc<Exchange>| async move {
                control::answer(exchange.run(|scripts| &scripts.control, &keys, arguments).await?)
            };
            self.calls.start(run)
        };
        answer_or_error(control::arguments(&request).and_then(control))
    }

    pub(crate) fn reset(self: &Arc<Self>, hits: &[Hit<'_>]) -> Answer<'static, ()> {
        let keys = hits.iter().map(|hit| self.keys.of(hit).map_err(BackendError::misconfigured));
        let keys = match keys.collect::<Result<Vec<_>, _>>() {
            Ok(keys) if keys.is_empty() => return MaybeReady::Ready(Ok(())),
            Ok(keys) => keys,
            Err(error) => return MaybeReady::Ready(Err(error)),
        };
        let store = Arc::clone(self);
        let reset = |exchange: Arc<Exchange>| async move {
            let removed = exchange.remove(&keys).await;
            store.refusals.forget(&keys, Moment::now());
            removed
        };
        answer_or_error(self.calls.start(reset))
    }

    /// Removes all entries, some keys at a time. Each call has its own deadline.
    pub(crate) fn clear(self: &Arc<Self>) -> Answer<'static, ()> {
        let store = Arc::clone(self);
        let clear = async move {
            let cleared = store.client.clear(&store.keys.pattern()).await;
            store.refusals.forget_all(Moment::now());
            Ok(cleared?)
        };
        answer_or_error(Calls::finish(clear))
    }
}

/// Returns the position of the first hit on the same entry as the hit at `place`.
fn first_on_entry(hits: &[Hit<'_>], place: usize) -> usize {
    let is_same = |hit: &Hit<'_>, other: &Hit<'_>| hit.limit == other.limit && hit.key == other.key;
    let first = hits.get(place).and_then(|hit| hits.iter().position(|other| is_same(hit, other)));
    first.unwrap_or(place)
}

/// Copies the charges that are not answered here.
fn not_here<'a, C, T>(charges: &'a [C], here: &[Option<T>]) -> Vec<Owned>
where
    Owned: From<&'a C>,
{
    charges.iter().zip(here).filter(|(_, here)| here.is_none()).map(|(charge, _)| charge.into()).collect()
}

/// Puts the answers of the server between those that were given here.
fn with_others<T>(here: Vec<Option<T>>, others: Vec<T>) -> Vec<T> {
    let mut others = others.into_iter();
    here.into_iter().filter_map(|here| here.or_else(|| others.next())).collect()
}

/// Turns an error from before the start into an answer.
fn answer_or_error<T>(started: Result<Answer<'static, T>, BackendError>) -> Answer<'static, T> {
    started.unwrap_or_else(|error| MaybeReady::Ready(Err(error)))
}

/// Returns an error that may have run, or any other if there is none. The whole did not run only if no part did.
fn gravest(errors: impl IntoIterator<Item = BackendError>) -> Option<BackendError> {
    errors.into_iter().max_by_key(BackendError::may_have_run)
}
