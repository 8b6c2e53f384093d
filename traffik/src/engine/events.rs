//! Counts decisions, and reports them to what observes the app.

use std::{sync::Arc, time::Duration};

use axum::http::request::Parts;
use traffik_core::decision::Amount;

use super::{Error, Failed, Limit, Limits};
use crate::{
    limit::{BackendIndex, Definition, Penalties},
    observe::{Decider, Decision, Event, EventOutcome},
    on_error::DecidedBy,
};

impl Limits {
    /// Makes the events of a decision, which its caller has received. Limits that were charged before have had theirs.
    #[inline]
    pub(crate) fn observe(&self, parts: Option<&Parts>) {
        let is_admitted = self.is_admitted();
        self.iter().for_each(|limit| limit.observe(is_admitted, parts));
    }
}

impl Limit {
    #[inline]
    fn observe(&self, is_decision_admitted: bool, parts: Option<&Parts>) {
        if !self.facts.is_first_event() {
            return;
        }
        let outcome = self.event_outcome(is_decision_admitted);
        self.definition.counters.add(outcome);
        if let Some(penalties) = self.primary().and_then(|backend| backend.penalties.as_ref()) {
            self.count_refusal(outcome, penalties);
        }
        self.definition.instruments.decided(Decision {
            limit: self.definition.label(),
            outcome,
            by: self.decider(),
            backend: self.backend(),
            is_of_connection: matches!(self.by, DecidedBy::Connection(..)),
            took: (self.outcome.is_some() || self.is_unchecked()).then(|| self.facts.took.duration()),
        });
        if self.definition.observers.want(outcome) {
            self.emit(outcome, parts);
        }
    }

    /// Counts a refusal of this limit, or ends the row of its client.
    fn count_refusal(&self, outcome: EventOutcome, penalties: &Arc<Penalties>) {
        let Some(client) = self.client.key() else { return };
        match outcome {
            EventOutcome::Refused if penalties.refused(client, self.retry_after()) => self.punished(),
            EventOutcome::Admitted => penalties.forget(client),
            _ => {}
        }
    }

    /// Wakes callers that wait for the client, and reports the change to streams of events.
    fn punished(&self) {
        if let Some(entry) = self.hit(self.cost()) {
            self.definition.backends.iter().for_each(|backend| backend.store.wake(entry));
        }
        #[cfg(feature = "admin")]
        self.definition.observers.streams.changed();
    }

    #[inline]
    fn event_outcome(&self, is_decision_admitted: bool) -> EventOutcome {
        match &self.outcome {
            None => self.facts.uncounted,
            Some(_) if self.is_blocked() => EventOutcome::Blocked,
            Some(outcome) if !outcome.admitted && outcome.enforced => EventOutcome::Refused,
            Some(outcome) if !outcome.admitted => EventOutcome::WouldRefuse,
            Some(_) if is_decision_admitted => EventOutcome::Admitted,
            Some(_) => EventOutcome::HadRoom,
        }
    }

    #[cold]
    fn emit(&self, outcome: EventOutcome, parts: Option<&Parts>) {
        let definition = &self.definition;
        let event = Event {
            decided_by: self.decider(),
            backend: self.backend(),
            rate: self.rate,
            cost: self.cost(),
            remaining: self.remaining(),
            retry_after: self.retry_after(),
            duration: self.facts.took.duration(),
            is_enforced: self.facts.is_enforced,
            is_near: outcome == EventOutcome::Admitted && self.is_near(),
            client: Some(&self.client).filter(|client| !client.is_exempt()),
            ..definition.event(outcome, parts)
        };
        definition.emit(&event);
    }

    fn decider(&self) -> Decider {
        match (&self.by, &self.outcome) {
            (_, None) | (DecidedBy::Unchecked | DecidedBy::DryRun, _) => Decider::Nobody,
            _ if self.is_blocked() => Decider::Nobody,
            (_, Some(outcome)) if outcome.repeated => Decider::LocalRefusal,
            (DecidedBy::Fallback(_), _) => Decider::Fallback,
            (DecidedBy::Primary | DecidedBy::Connection(..), _) => Decider::Primary,
        }
    }

    fn backend(&self) -> &str {
        match &self.by {
            DecidedBy::Connection(..) => "connection",
            DecidedBy::Fallback(fallback) => fallback.store.label(),
            DecidedBy::Primary | DecidedBy::Unchecked | DecidedBy::DryRun => {
                self.definition.backend_label(self.backend)
            }
        }
    }

    /// Returns whether the client has used the share of the limit from which on its throttle warns.
    fn is_near(&self) -> bool {
        let (Some(share), Some(capacity)) = (self.definition.settings.warn_at, self.capacity().units()) else {
            return false;
        };
        share.is_used(self.remaining().units().unwrap_or(capacity), capacity)
    }
}

impl Failed {
    /// Returns the error of a decision outside of requests, after its events were made.
    pub(crate) fn observed(self, parts: Option<&Parts>) -> Error {
        self.observe(parts);
        self.error
    }

    /// Makes the events of a decision that could not be made.
    #[cold]
    pub(crate) fn observe(&self, parts: Option<&Parts>) {
        for check in self.checks.iter().map(|check| check.check()).filter(|check| check.charged_before.is_none()) {
            let outcome = if check.is_counted() { EventOutcome::Error } else { check.uncounted() };
            let (definition, took) = (check.definition, self.took.duration());
            definition.count(outcome, check.backend, Some(took).filter(|_| check.is_counted()));
            if !definition.observers.want(outcome) {
                continue;
            }
            let event = Event {
                rate: check.rate,
                cost: if check.is_counted() { check.cost } else { 0 },
                duration: took,
                is_enforced: check.enforced,
                client: Some(&check.client).filter(|client| !client.is_exempt()),
                backend: definition.backend_label(check.backend),
                ..definition.event(outcome, parts)
            };
            definition.emit(&event);
        }
    }
}

impl Definition {
    /// Makes the event of a request that was rejected before the decision.
    #[cold]
    pub(crate) fn observe(&self, outcome: EventOutcome, parts: &Parts) {
        self.count(outcome, self.backend, None);
        if self.observers.want(outcome) {
            self.emit(&self.event(outcome, Some(parts)));
        }
    }

    /// Counts a limit about which no backend decided.
    fn count(&self, outcome: EventOutcome, backend: BackendIndex, took: Option<Duration>) {
        self.counters.add(outcome);
        self.instruments.decided(Decision {
            limit: self.label(),
            outcome,
            by: Decider::Nobody,
            backend: self.backend_label(backend),
            is_of_connection: false,
            took,
        });
    }

    /// Returns the event of a limit about which no backend decided.
    fn event<'a>(&'a self, outcome: EventOutcome, parts: Option<&'a Parts>) -> Event<'a> {
        Event {
            uid: &self.uid,
            label: self.label(),
            outcome,
            decided_by: Decider::Nobody,
            backend: self.backend_label(self.backend),
            rate: self.rate,
            cost: 0,
            remaining: Amount::Unlimited,
            retry_after: None,
            duration: Duration::ZERO,
            is_enforced: true,
            is_near: false,
            client: None,
            parts,
        }
    }

    fn emit(&self, event: &Event<'_>) {
        let clock = self.backends.iter().next().map(|backend| backend.store.clock());
        self.observers.emit(event, &self.refusals, clock);
    }
}
