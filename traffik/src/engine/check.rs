//! A throttle and a client, before the decision.

use std::{mem, sync::Arc, time::Duration};

use smallvec::SmallVec;
use traffik_core::{EXEMPTED, OutOfRange, client::Client, decision::Hit, rate::Rate, strategy::AnyStrategy};
use triomphe::Arc as Shared;

use super::Limit;
use crate::{
    limit::{BackendIndex, ConfigError, Definition, LimitBackend},
    observe::EventOutcome,
    on_error::{ErrorPolicy, PolicyHits, Undecided},
    one_or_more::OneOrMore,
    request::Fields,
    store::{HITS_INLINE, Store},
};

/// One throttle to be checked for one client. The check becomes a [`Limit`]. `D` holds the definition of the throttle.
#[derive(Clone, Debug)]
pub(crate) struct CheckOf<D> {
    pub(crate) definition: D,
    pub(crate) backend: BackendIndex,
    pub(crate) client: Client,
    pub(crate) rate: Rate,
    pub(crate) cost: u64,
    /// The lowest cost to charge. At or above the cost, all of it is charged or nothing.
    pub(crate) at_least: u64,
    /// The limit as it stood when the same request was charged for it before: it is not charged again.
    pub(crate) charged_before: Option<Shared<Limit>>,
    /// How far the request was asked.
    pub(crate) resolved: Resolved,
    /// What the check sets itself, in place of the throttle.
    pub(crate) own: Own,
    /// Whether all slots of the queue are taken, so that only what need not wait is admitted.
    pub(crate) is_full: bool,
    /// Whether it may refuse the decision.
    pub(crate) enforced: bool,
    /// What its event says if it was skipped for a reason that the others do not show.
    pub(crate) skipped: Option<EventOutcome>,
    /// The fields that show the limit.
    pub(crate) fields: Fields,
}

/// A check on the path of a request, which copies no `Arc` of its definition.
pub(crate) type Check<'a> = CheckOf<&'a Arc<Definition>>;

/// A check for a task, or for all messages of a connection.
pub(crate) type KeptCheck = CheckOf<Arc<Definition>>;

/// The values that a function or the caller of a check sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) cost: bool,
    pub(crate) rate: bool,
}

/// What of a check was resolved for its request, and may be used for other throttles of the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resolved {
    Nothing,
    Cost,
    Client,
    Rate,
}

/// The checks of one decision.
pub(crate) type Checks<'a> = OneOrMore<Check<'a>>;

impl<D> CheckOf<D> {
    /// Returns the same with its definition held in another way.
    fn with<E>(&self, definition: E) -> CheckOf<E> {
        CheckOf {
            definition,
            backend: self.backend,
            client: self.client.clone(),
            rate: self.rate,
            cost: self.cost,
            at_least: self.at_least,
            charged_before: self.charged_before.clone(),
            resolved: self.resolved,
            own: self.own,
            is_full: self.is_full,
            enforced: self.enforced,
            skipped: self.skipped,
            fields: self.fields,
        }
    }
}

impl<'a> Check<'a> {
    /// Creates the check of a client as the throttle is declared.
    pub(crate) fn new(definition: &'a Arc<Definition>, client: Client) -> Self {
        Self {
            definition,
            backend: definition.backend,
            client,
            rate: definition.rate,
            cost: definition.settings.cost,
            at_least: u64::MAX,
            charged_before: None,
            resolved: Resolved::Client,
            own: Own::default(),
            is_full: false,
            enforced: definition.is_enforced(),
            skipped: None,
            fields: definition.settings.request.responses.fields,
        }
    }

    /// A throttle that counts nothing. Its event has this outcome.
    pub(crate) fn skipped(definition: &'a Arc<Definition>, outcome: EventOutcome) -> Self {
        Self { cost: 0, resolved: Resolved::Nothing, skipped: Some(outcome), ..Self::new(definition, EXEMPTED) }
    }

    /// Takes the check out of a place that is of no use after it.
    pub(super) fn take(&mut self) -> Self {
        let (client, charged_before) = (mem::replace(&mut self.client, EXEMPTED), self.charged_before.take());
        Self { client, charged_before, ..*self }
    }

    pub(crate) fn kept(&self) -> KeptCheck {
        self.with(Arc::clone(self.definition))
    }

    /// Returns the same for other charges than that of the request, which may have been charged.
    pub(crate) fn kept_uncharged(&self) -> KeptCheck {
        KeptCheck { charged_before: None, is_full: false, ..self.kept() }
    }

    /// Returns `true` if it checks the same throttle for the same client.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.definition.has_entry_of(self.backend, other.definition, other.backend) && self.client == other.client
    }

    /// Whether the backend is asked. It is not for exempted clients, unlimited rates, a cost of 0, and what was charged before.
    pub(crate) fn is_counted(&self) -> bool {
        !self.rate.is_unlimited() && self.is_counted_at_some_rate()
    }

    /// Returns `true` if it is counted unless its rate is unlimited.
    pub(crate) fn is_counted_at_some_rate(&self) -> bool {
        self.cost > 0 && !self.client.is_exempt() && self.charged_before.is_none()
    }

    /// Returns what is decided about it if it is not counted.
    #[cold]
    pub(crate) fn uncounted(&self) -> EventOutcome {
        match self.skipped {
            Some(outcome) => outcome,
            None if self.definition.is_disabled() => EventOutcome::Disabled,
            None if self.cost == 0 => EventOutcome::NotApplied,
            None if self.client.is_exempt() => EventOutcome::Exempt,
            None => EventOutcome::Unlimited,
        }
    }

    /// Chooses the backend with this name.
    ///
    /// # Errors
    ///
    /// Returns an error if the app has no such backend, or if the limit is always in another one.
    pub(crate) fn choose(&mut self, name: &str) -> Result<(), ConfigError> {
        if self.definition.is_disabled() {
            return Ok(());
        }
        self.backend = self.definition.choose(name)?;
        Ok(())
    }

    /// Returns `true` if requests choose the backend.
    pub(crate) fn is_chosen(&self) -> bool {
        self.definition.settings.request.backend.is_some()
    }

    /// Returns the same at another rate.
    ///
    /// # Errors
    ///
    /// Returns an error if the strategy does not work at the rate.
    pub(crate) fn at_rate(self, rate: Rate) -> Result<Self, ConfigError> {
        self.definition.check_rate(rate)?;
        let own = Own { rate: true, ..self.own };
        Ok(Self { rate, own, ..self })
    }

    /// Returns the backend. `None` if everything is admitted, or if no request chose one.
    #[inline]
    pub(crate) fn limit_backend(&self) -> Option<&'a LimitBackend> {
        self.definition.backends.get(self.backend)
    }

    pub(crate) fn store(&self) -> Option<&'a Arc<Store>> {
        self.limit_backend().map(|backend| &backend.store)
    }

    pub(crate) fn strategy(&self) -> &'a AnyStrategy {
        self.definition.limit(self.is_full).strategy()
    }

    /// Returns the entry of the client, which an exempted client does not have.
    pub(crate) fn entry(&self) -> Option<Hit<'_>> {
        let limit = self.definition.limit(self.is_full);
        let key = self.client.key()?;
        let hit = Hit::new(limit, key, self.rate, self.cost).at_least(self.at_least);
        Some(if self.enforced { hit } else { hit.not_enforced() })
    }

    fn hit(&self) -> Option<(Hit<'_>, &'a ErrorPolicy)> {
        if !self.is_counted() {
            return None;
        }
        Some((self.entry()?, &*self.limit_backend()?.policy))
    }
}

impl KeptCheck {
    pub(crate) fn check(&self) -> Check<'_> {
        self.with(&self.definition)
    }

    /// Returns the same at another cost, if one is given.
    #[cfg(feature = "ws")]
    pub(crate) fn costing(&self, cost: Option<u64>) -> Check<'_> {
        let check = self.check();
        let own = Own { cost: check.own.cost || cost.is_some(), ..check.own };
        Check { cost: cost.unwrap_or(check.cost), own, ..check }
    }

    /// Returns `true` if both charge the same, if they are of one throttle and client. Changes at run time replace what is not
    /// the check's own.
    pub(crate) fn costs_the_same(&self, other: &Self) -> bool {
        (self.rate, self.cost, self.at_least, self.own) == (other.rate, other.cost, other.at_least, other.own)
    }
}

/// The hits of several checks.
pub(crate) struct Hits<'c, 'a> {
    hits: SmallVec<[Hit<'c>; HITS_INLINE]>,
    policies: SmallVec<[&'a ErrorPolicy; HITS_INLINE]>,
    others: SmallVec<[&'a ErrorPolicy; HITS_INLINE]>,
}

impl<'a> Hits<'_, 'a> {
    pub(crate) fn as_ref(&self) -> PolicyHits<'_, 'a> {
        PolicyHits { hits: &self.hits, policies: &self.policies, others: &self.others }
    }
}

impl<'a> Checks<'a> {
    /// Returns the store that all of them are kept in. `None` if nothing is counted.
    #[inline]
    pub(crate) fn store(&self) -> Result<Option<&'a Arc<Store>>, ConfigError> {
        // One check is in one store.
        if let Some((only, backend)) = self.only().and_then(|only| Some((only, only.limit_backend()?))) {
            return Ok(Some(&backend.store).filter(|_| only.is_counted()));
        }
        let store = self.store_of_all()?;
        Ok(store.filter(|_| self.iter().any(Check::is_counted)))
    }

    /// Returns the store of all of them, also if nothing is counted.
    pub(crate) fn store_of_all(&self) -> Result<Option<&'a Arc<Store>>, ConfigError> {
        let mut first = None;
        for check in self.iter() {
            match (check.limit_backend(), first) {
                (None, _) if check.backend.is_none() && check.is_counted() => return Err(check.definition.no_choice()),
                (None, _) => {}
                (Some(backend), None) => first = Some((check.definition, &backend.store)),
                (Some(backend), Some((_, store))) if Arc::ptr_eq(&backend.store, store) => {}
                (Some(backend), Some((definition, store))) => {
                    let second = (&**check.definition, &backend.store);
                    return Err(Definition::two_backends((definition, store), second));
                }
            }
        }
        Ok(first.map(|(_, store)| store))
    }

    /// Calls `ask` with a hit for each check that is counted. One hit, as most decisions have, is moved nowhere.
    #[inline]
    pub(crate) fn with_hits<R>(&self, ask: impl FnOnce(PolicyHits<'_, 'a>) -> R) -> R {
        if let Some(only) = self.only() {
            return match only.hit() {
                Some((hit, policy)) => ask(PolicyHits { hits: &[hit], policies: &[policy], others: &[] }),
                None => ask(PolicyHits { hits: &[], policies: &[], others: &[] }),
            };
        }
        ask(self.hits().as_ref())
    }

    /// Returns `true` if none of those that are counted may refuse the decision.
    pub(crate) fn are_in_dry_run(&self) -> bool {
        self.iter().all(|check| !(check.enforced && check.is_counted()))
    }

    /// Logs at most once a second that a dry run could not be decided.
    #[cold]
    pub(super) fn log_dry_run(&self, error: &Undecided) {
        let now = self.iter().find_map(Check::store).map(|store| store.clock().now());
        let counted = || self.iter().filter(|check| check.is_counted()).map(|check| check.definition);
        if counted().next().zip(now).is_some_and(|(definition, now)| definition.undecided.is_due(now)) {
            let uids: Vec<_> = counted().map(|definition| &*definition.uid).collect();
            tracing::error!(?uids, %error, "no decision: requests pass uncounted, because these throttles are in a dry run");
        }
    }

    pub(crate) fn hits(&self) -> Hits<'_, 'a> {
        let (hits, policies) = self.iter().filter_map(Check::hit).unzip();
        let idle = self.iter().filter(|check| !check.is_counted());
        Hits {
            hits,
            policies,
            others: idle.filter_map(|check| check.limit_backend().map(|backend| &*backend.policy)).collect(),
        }
    }

    /// Returns `true` if any of the throttles has permits that are held for as long as the client stays.
    #[inline]
    pub(crate) fn are_held(&self) -> bool {
        self.iter().any(|check| check.definition.is_held)
    }

    /// Returns what the decision charged to the entry of `check` in total, if its strategy delays the request. `granted` has the
    /// cost of each check.
    pub(crate) fn queued(&self, check: &Check<'_>, granted: &[u64]) -> u64 {
        if check.definition.queue.is_none() || !check.enforced {
            return 0;
        }
        let is_same =
            |other: &Check<'_>| other.definition.limit == check.definition.limit && other.client == check.client;
        let same = self.iter().zip(granted).filter(|(other, _)| is_same(other));
        same.fold(0, |sum, (_, granted)| sum.saturating_add(*granted))
    }
}

/// What a caller sets of its checks in place of what the throttles say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LimiterOptions {
    pub(crate) cost: Option<u64>,
    pub(crate) at_least: Option<u64>,
    pub(crate) rate: Option<Rate>,
    /// How long a check may wait for its turn.
    pub(crate) wait: Option<Duration>,
}

impl LimiterOptions {
    pub(crate) fn apply(&self, checks: &mut Checks<'_>) -> Result<(), ConfigError> {
        checks.iter_mut().try_for_each(|check| self.apply_to(check))
    }

    pub(crate) fn apply_to(&self, check: &mut Check<'_>) -> Result<(), ConfigError> {
        if let Some(cost) = self.cost {
            (check.cost, check.own.cost) = (cost, true);
        }
        if let Some(at_least) = self.at_least {
            OutOfRange::check("Limiter::at_least", at_least, 0..=check.cost)?;
            check.at_least = at_least;
        }
        if let Some(rate) = self.rate {
            check.definition.check_rate(rate)?;
            (check.rate, check.own.rate) = (rate, true);
        }
        Ok(())
    }
}
