//! What is kept under one namespace, and how it is asked about: in one call, by compare and swap, or slot by slot.

use std::sync::Arc;

use traffik::{
    backend::BackendError,
    clock::{AnyClock, Timestamp},
    decision::{Decision, Hit, Receipt},
};

use crate::{
    answer,
    by_swap::{self, Turns},
    calls::{Calls, Program},
    client::Client,
    keys::Keys,
    places::Places,
    question::Question,
    refusals::{Moment, Refusals},
    scripts::Programs,
    side_by_side::side_by_side,
    slots::{Slots, receipts},
};

pub(crate) struct Store {
    pub(crate) namespace: String,
    pub(crate) keys: Keys,
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    pub(crate) turns: Turns,
    pub(crate) refusals: Refusals,
}

impl Store {
    /// Where several hits are kept, if that is in several places. There may be such in a cluster only.
    pub(crate) fn places(&self, hits: &[Hit<'_>]) -> Result<Option<Slots>, BackendError> {
        let first = hits.first().map(|hit| hit.key);
        if !self.client.is_cluster() || hits.iter().all(|hit| Some(hit.key) == first) {
            return Ok(None);
        }
        Slots::of(hits, &self.keys).map(Some)
    }

    /// Decides in one call, or without one if the answer is known to be a refusal.
    pub(crate) async fn decide(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        if hits.iter().any(Places::is_own) {
            return self.decide_by_swap(hits).await;
        }
        let question = Arc::new(Question::new(&self.keys, hits)?);
        if question.twins.is_none() {
            return Ok(answer::all_unlimited(hits));
        }
        let asked = Moment::now();
        if let Some(refusal) = self.find_refusal(&question.places, hits, asked) {
            return Ok(refusal);
        }
        let told = self.calls.decide(Arc::clone(&question)).await?;
        let decision = answer::decision(told, hits, &question)?;
        self.refusals.remember(&question.places, hits, &decision, [asked, Moment::now()]);
        Ok(decision)
    }

    async fn decide_by_swap(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let places = Places::of(hits, &self.keys)?;
        let asked = Moment::now();
        if let Some(refusal) = self.find_refusal(&places, hits, asked) {
            return Ok(refusal);
        }
        self.calls.counts().decided(1);
        let decision = by_swap::decide(&self.calls, &self.turns, hits, &places).await?;
        self.refusals.remember(&places, hits, &decision, [asked, Moment::now()]);
        Ok(decision)
    }

    fn find_refusal(&self, places: &Places, hits: &[Hit<'_>], now: Moment) -> Option<Decision> {
        let refusal = self.refusals.find(places, hits, now)?;
        self.calls.counts().refused_here();
        Some(refusal)
    }

    /// Decides slot by slot, and gives back what was charged once one of them refuses. To decide takes no longer than one call
    /// may; what is given back has the time that it needs, since it would be lost.
    pub(crate) async fn decide_apart(&self, hits: &[Hit<'_>], slots: &Slots) -> Result<Decision, BackendError> {
        // Before anything is charged: giving back all the time would take from others what is theirs.
        if let Some(refusal) = self.find_refusal(&Places::of(hits, &self.keys)?, hits, Moment::now()) {
            return Ok(refusal);
        }
        let (parts, until) = (slots.split(hits), self.calls.until()?);
        let mut charged = Vec::new();
        for part in &parts {
            match self.calls.before(until, self.decide(part)).await {
                Ok(decision) if decision.is_admitted() => charged.push(decision),
                Ok(refusal) => {
                    self.give_back(&parts, &charged).await;
                    return Ok(slots.join(&self.tell_refusal(&parts, &charged, &refusal).await));
                }
                Err(error) => {
                    self.give_back(&parts, &charged).await;
                    // What was charged before it did run, and may not have been taken back.
                    return Err(if charged.is_empty() { error } else { BackendError::unavailable(error) });
                }
            }
        }
        Ok(slots.join(&charged))
    }

    async fn give_back(&self, parts: &[Vec<Hit<'_>>], charged: &[Decision]) {
        for (hits, decision) in parts.iter().zip(charged) {
            if let Err(error) = self.refund(&receipts(hits, decision)).await {
                tracing::warn!(%error, "a refused request keeps what it was charged in another slot");
            }
        }
    }

    /// A refusal of the part after those that were charged, beside how the others stand. If one of these cannot be asked, it
    /// stays a refusal, and of the rest is told what is known.
    async fn tell_refusal(&self, parts: &[Vec<Hit<'_>>], charged: &[Decision], refusal: &Decision) -> Vec<Decision> {
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
            all.push(known.unwrap_or_else(|| hits.iter().map(|hit| answer::unlimited(hit, at)).collect()));
        }
        all
    }

    /// How limits stand, which is remembered as it is of those of a refusal.
    async fn look(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let (places, asked) = (Places::of(hits, &self.keys)?, Moment::now());
        let standing = self.peek(hits).await?;
        self.refusals.keep(&places, hits, &standing, [asked, Moment::now()]);
        Ok(standing)
    }

    pub(crate) async fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        if hits.iter().any(Places::is_own) {
            return by_swap::peek(&self.calls, hits, &Places::of(hits, &self.keys)?).await;
        }
        let question = Arc::new(Question::new(&self.keys, hits)?);
        if question.twins.is_none() {
            return Ok(answer::all_unlimited(hits));
        }
        let peek: Program = |programs: &Programs| &programs.peek;
        let told = self.calls.ask(peek, Arc::clone(&question), None).await?;
        answer::decision(told, hits, &question)
    }

    pub(crate) async fn refund(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        let limited = || receipts.iter().filter(|receipt| !receipt.hit.rate.is_unlimited());
        let hits: Vec<_> = receipts.iter().map(|receipt| receipt.hit).collect();
        if hits.iter().any(Places::is_own) {
            let places = Places::of(&hits, &self.keys)?;
            let refunded = by_swap::refund(&self.calls, &self.turns, receipts, &places).await;
            self.refusals.forget(&places.keys, Moment::now());
            return refunded;
        }
        let question = Arc::new(Question::new(&self.keys, limited().map(|receipt| &receipt.hit))?);
        if question.twins.is_none() {
            return Ok(());
        }
        let refund: Program = |programs: &Programs| &programs.refund;
        let refunded = self.calls.ask(refund, Arc::clone(&question), Some(times_of(receipts))).await;
        self.refusals.forget(&question.places.keys, Moment::now());
        refunded.map(drop)
    }

    /// Charges anew, each by itself. One that the server could not read is told as not charged.
    pub(crate) async fn renew(&self, receipts: &[Receipt<'_>]) -> Result<Vec<Option<Timestamp>>, BackendError> {
        if receipts.iter().any(|receipt| Places::is_own(&receipt.hit)) {
            return self.renew_by_swap(receipts).await;
        }
        let question = Arc::new(Question::new(&self.keys, receipts.iter().map(|receipt| &receipt.hit))?);
        if question.twins.is_none() {
            let now = AnyClock::system().now();
            return Ok(vec![Some(now); receipts.len()]);
        }
        let renew: Program = |programs: &Programs| &programs.renew;
        let told = self.calls.ask_all(renew, Arc::clone(&question), Some(times_of(receipts))).await?;
        answer::renewals(&told, &question)
    }

    /// Strategies of one's own, one after the other: what is stored of one client is no business of another's.
    async fn renew_by_swap(&self, receipts: &[Receipt<'_>]) -> Result<Vec<Option<Timestamp>>, BackendError> {
        let mut renewed = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let hits = [receipt.hit];
            renewed.push(if Places::is_own(&receipt.hit) {
                let places = Places::of(&hits, &self.keys)?;
                by_swap::renew(&self.calls, &self.turns, receipt, &places).await?
            } else {
                Box::pin(self.renew(std::slice::from_ref(receipt))).await?.into_iter().flatten().next()
            });
        }
        Ok(renewed)
    }

    /// Slot by slot, all at once. Those of a slot that gave no answer are told as not charged, since it is of no use to others
    /// that nobody knows; it is an error if none did.
    pub(crate) async fn renew_apart(
        &self,
        receipts: &[Receipt<'_>],
        slots: &Slots,
    ) -> Result<Vec<Option<Timestamp>>, BackendError> {
        let parts = slots.split(receipts);
        let answers = side_by_side(parts.iter().map(|part| self.renew(part))).await;
        let (mut renewed, mut failed) = (Vec::with_capacity(parts.len()), None);
        for (part, answer) in parts.iter().zip(answers) {
            renewed.push(answer.unwrap_or_else(|error| {
                failed = Some(error);
                vec![None; part.len()]
            }));
        }
        match failed {
            Some(error) if renewed.iter().flatten().all(Option::is_none) => Err(error),
            Some(error) => {
                tracing::warn!(%error, "a slot gave no answer, and nothing is known to be charged anew there");
                Ok(slots.in_order(renewed))
            }
            None => Ok(slots.in_order(renewed)),
        }
    }
}

/// When each was charged that a program has to see, as `refund.lua` and `renew.lua` read it.
fn times_of(receipts: &[Receipt<'_>]) -> Vec<u8> {
    let limited = receipts.iter().filter(|receipt| !receipt.hit.rate.is_unlimited());
    limited.flat_map(|receipt| receipt.charged_at.as_micros().to_le_bytes().into_iter().take(7)).collect()
}
