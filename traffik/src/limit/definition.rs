use std::{
    any::TypeId,
    borrow::Cow,
    panic::Location,
    sync::{Arc, atomic::AtomicBool},
};

use traffik_core::{
    decision::LimitId,
    rate::Rate,
    strategy::{AnyStrategy, Strategy, StrategyError},
};

use super::{
    ByUid, ConfigError, DefaultIdentity, Settings, Throttle,
    changes::{Changes, Live},
    penalty::{Lineage, Penalties},
    queue::{Queue, Waiters},
    settings::Share,
    throttle::{assert_uid, uid_prefix},
};
use crate::{
    fields::PolicyItem,
    observe::{Counters, LimitInstruments, LogThrottle, Observers, RefusalSample},
    on_error::{ErrorPolicy, Policies},
    request::{Applies, RuleError, Source},
    store::{Store, Stores},
    warning::{Warning, WarningLog, warn_of},
};

/// A throttle as values, checked.
#[derive(Debug)]
pub(crate) struct Definition {
    /// The throttle, or [`ByUid`] if the limit is a value.
    pub(crate) type_id: TypeId,
    /// The name in errors.
    pub(crate) name: Cow<'static, str>,
    pub(crate) uid: Arc<str>,
    /// The name in metrics and logs.
    label: Arc<str>,
    pub(crate) rate: Rate,
    pub(crate) settings: Settings,
    /// The limit in its store.
    pub(crate) limit: Arc<LimitId>,
    /// Whether the limit is on concurrent requests, so that permits are held.
    pub(crate) is_held: bool,
    pub(crate) backends: LimitBackends,
    /// The backend of a check before a request chooses one.
    pub(crate) backend: BackendIndex,
    /// The queue of held requests, if the strategy delays.
    pub(crate) queue: Option<Arc<Queue>>,
    /// The callers that wait for a turn.
    pub(crate) waiters: Arc<Waiters>,
    /// Whether it was removed, if it is a value.
    pub(super) lineage: Arc<Lineage>,
    /// The source of the client.
    pub(crate) identity: Source,
    /// The items of the RateLimit fields.
    pub(crate) items: PolicyItem,
    /// Whether a request met this limit after another one that differs only in its uid.
    pub(crate) is_second: AtomicBool,
    /// The decisions since the start.
    pub(crate) counters: Counters,
    /// Bounds the log lines about decisions of a dry run that could not be made.
    pub(crate) undecided: LogThrottle,
    /// What observes the app.
    pub(crate) observers: Arc<Observers>,
    pub(crate) instruments: LimitInstruments,
    /// Its refusals in the log.
    pub(crate) refusals: RefusalSample,
}

/// A limit that is not checked yet.
#[derive(Debug)]
pub(crate) struct NewLimit {
    pub(super) type_id: TypeId,
    pub(super) name: Cow<'static, str>,
    pub(super) uid: Arc<str>,
    pub(super) rate: Rate,
    pub(super) settings: Settings,
    pub(super) identity: Source,
    /// Whether its type identifies clients.
    pub(super) has_identity: bool,
}

impl NewLimit {
    /// Creates the limit of a type, with the settings that its code returns.
    pub(super) fn of<T: Throttle>(name: &'static str) -> Self {
        const { assert_uid(T::UID) };
        let settings = T::settings();
        Self {
            type_id: TypeId::of::<T>(),
            name: name.into(),
            uid: T::UID.into(),
            rate: const { T::RATE },
            identity: settings.request.identity_source::<T::Identity>(),
            has_identity: TypeId::of::<T::Identity>() != TypeId::of::<DefaultIdentity>(),
            settings,
        }
    }

    /// Creates a limit that the caller adds as a value.
    #[track_caller]
    pub(crate) fn added(uid: Arc<str>, rate: Rate, settings: Settings) -> Self {
        Self::value(format!("limit added at {}", Location::caller()), uid, rate, settings)
    }

    /// Creates a limit that is a value. `name` says where it was made.
    pub(crate) fn value(name: String, uid: Arc<str>, rate: Rate, settings: Settings) -> Self {
        Self {
            type_id: TypeId::of::<ByUid>(),
            name: name.into(),
            uid,
            rate,
            identity: settings.request.identity_source::<DefaultIdentity>(),
            has_identity: false,
            settings,
        }
    }
}

impl Definition {
    pub(crate) fn new(
        new: NewLimit,
        stores: &Stores,
        policies: &Policies,
        warnings: &WarningLog,
        observers: &Arc<Observers>,
        changes: &Arc<Changes>,
    ) -> Result<Self, ConfigError> {
        let NewLimit { type_id, name, uid, rate, settings, identity, has_identity } = new;
        let own_label = if type_id == TypeId::of::<ByUid>() { uid_prefix(&uid) } else { &uid };
        let label = settings.label.clone().unwrap_or_else(|| own_label.into());
        let mut definition = Self {
            type_id,
            name,
            rate,
            identity,
            limit: Arc::new(LimitId::new(&*uid, settings.strategy.clone())),
            waiters: Waiters::new(&label, settings.max_waiters),
            lineage: Arc::default(),
            label,
            settings,
            is_held: false,
            backends: LimitBackends::default(),
            backend: BackendIndex::FIRST,
            queue: None,
            items: PolicyItem::new(&uid, rate),
            uid,
            is_second: AtomicBool::new(false),
            counters: Counters::default(),
            undecided: LogThrottle::default(),
            observers: Arc::clone(observers),
            instruments: LimitInstruments::default(),
            refusals: RefusalSample::default(),
        };
        definition.check(warnings)?;
        definition.is_held = matches!(definition.settings.strategy, AnyStrategy::Concurrency(_));
        definition.check_request(has_identity, warnings)?;
        definition.queue = Queue::by(&definition.limit);
        definition.find_backends(stores, policies, changes)?;
        Ok(definition)
    }

    /// Returns the limit in its store. If the queue is full, its strategy admits only requests that need not wait.
    #[inline]
    pub(crate) fn limit(&self, is_full: bool) -> &Arc<LimitId> {
        match &self.queue {
            Some(queue) if is_full => &queue.when_full,
            _ => &self.limit,
        }
    }

    /// Returns whether the throttle may reject requests: it is in no dry run.
    pub(crate) fn is_enforced(&self) -> bool {
        !self.settings.request.is_dry_run
    }

    /// Returns whether the app admits everything.
    pub(crate) fn is_disabled(&self) -> bool {
        self.backends.first.is_none()
    }

    /// Returns whether the limit is a value, and no type.
    pub(crate) fn is_value(&self) -> bool {
        self.type_id == TypeId::of::<ByUid>()
    }

    /// Returns `true` if a client has the same entry for both: they are one, or values of which one replaced the other, without
    /// another strategy or backend.
    #[inline]
    pub(crate) fn has_entry_of(self: &Arc<Self>, backend: BackendIndex, other: &Arc<Self>, at: BackendIndex) -> bool {
        if Arc::ptr_eq(self, other) { backend == at } else { self.replaces(backend, other, at) }
    }

    #[cold]
    fn replaces(&self, backend: BackendIndex, other: &Self, at: BackendIndex) -> bool {
        let store = |of: &Self, index| of.backends.get(index).map(|backend| Arc::as_ptr(&backend.store));
        // Another app has other observers.
        self.is_value()
            && other.is_value()
            && self.limit == other.limit
            && Arc::ptr_eq(&self.observers, &other.observers)
            && store(self, backend) == store(other, at)
    }

    /// Returns the name for metrics and logs, of which an app has few.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Returns the name of a backend in events.
    pub(crate) fn backend_label(&self, index: BackendIndex) -> &str {
        self.backends.get(index).map_or(Store::OWN, |backend| backend.store.label())
    }

    /// Returns the place of the backend with this name, for a request or a caller that chooses one.
    ///
    /// # Errors
    ///
    /// Returns an error if the app has no such backend, or if the limit is always in another one.
    pub(crate) fn choose(&self, name: &str) -> Result<BackendIndex, ConfigError> {
        self.backends.find(name).ok_or_else(|| match self.fixed_backend() {
            Some(fixed) => self.error(|uid, throttle| ConfigError::FixedBackend {
                uid,
                throttle,
                backend: fixed.store.label().into(),
                named: name.into(),
            }),
            None => self.no_backend(name, self.backends.iter().map(|backend| backend.store.label())),
        })
    }

    #[cold]
    fn no_backend<'s>(&self, name: &str, has: impl Iterator<Item = &'s str>) -> ConfigError {
        self.error(|uid, throttle| ConfigError::NoBackend {
            uid,
            throttle,
            backend: name.into(),
            has: has.map(Into::into).collect(),
        })
    }

    /// Returns the backend that stores the shared changes of the limit.
    pub(crate) fn shared_store(&self) -> Option<&Arc<Store>> {
        self.backends.iter().next().map(|backend| &backend.store)
    }

    /// Returns an error of this limit, which receives its uid and its name.
    fn error(&self, error: impl FnOnce(Box<str>, Box<str>) -> ConfigError) -> ConfigError {
        error(Box::from(&*self.uid), Box::from(&*self.name))
    }

    /// Returns the error of a check for which no request chose a backend.
    #[cold]
    pub(crate) fn no_choice(&self) -> ConfigError {
        self.error(|uid, throttle| ConfigError::NoBackendChosen { uid, throttle })
    }

    /// Checks that several throttles can be one decision. They must share a backend, because only one can charge all of them or
    /// none. Those whose requests choose it are checked for each decision.
    pub(crate) fn check_together<'a>(definitions: impl Iterator<Item = &'a Arc<Self>>) -> Result<(), ConfigError> {
        let mut fixed = definitions.filter_map(|definition| Some((definition, definition.fixed_backend()?)));
        let Some((first, one)) = fixed.next() else { return Ok(()) };
        match fixed.find(|(_, other)| !Arc::ptr_eq(&one.store, &other.store)) {
            None => Ok(()),
            Some((second, other)) => Err(Self::two_backends((first, &one.store), (second, &other.store))),
        }
    }

    fn fixed_backend(&self) -> Option<&LimitBackend> {
        self.backends.get(self.backend)
    }

    #[cold]
    pub(crate) fn two_backends(
        (first, one): (&Self, &Arc<Store>),
        (second, other): (&Self, &Arc<Store>),
    ) -> ConfigError {
        let name = |store: &Store| Some(store.label()).filter(|label| *label != Store::OWN).map(Into::into);
        ConfigError::TwoBackends {
            first: Box::from(&*first.uid),
            first_backend: name(one),
            second: Box::from(&*second.uid),
            second_backend: name(other),
        }
    }

    /// Finds the backends. There is none if everything is admitted, one as a rule, and all of the app if requests choose one.
    fn find_backends(
        &mut self,
        stores: &Stores,
        policies: &Policies,
        changes: &Arc<Changes>,
    ) -> Result<(), ConfigError> {
        let Some(own) = stores.own() else { return Ok(()) };
        let is_chosen = self.settings.request.backend.is_some();
        if is_chosen && self.settings.backend.is_some() {
            return Err(self.error(|uid, throttle| ConfigError::BackendTwice { uid, throttle }));
        }
        let first = match self.settings.backend {
            None => own,
            Some(name) => stores.named(name).ok_or_else(|| self.no_backend(name, stores.names()))?,
        };
        let backend = |store: &Arc<Store>, is_first| {
            let policy = match &self.settings.on_error {
                Some(own) if is_first => Arc::new(ErrorPolicy::new(own.clone(), store)),
                Some(own) => Arc::new(ErrorPolicy::new(own.with_own_breaker(), store)),
                None => Arc::clone(policies.of(store)?),
            };
            let penalty = self.settings.penalty;
            let penalties = penalty.map(|settings| Penalties::new(settings, &self.uid, &self.lineage, store, changes));
            Some(LimitBackend { store: Arc::clone(store), policy, penalties })
        };
        let others = stores.iter().skip(1).filter(|_| is_chosen).filter_map(|store| backend(store, false)).collect();
        self.backends = LimitBackends { first: backend(first, true), others };
        if is_chosen {
            self.backend = BackendIndex::NONE;
        }
        Ok(())
    }

    /// Checks whether the strategy supports a rate that is not the throttle's own.
    ///
    /// Checking costs no more than a lookup, so results are not cached.
    pub(crate) fn check_rate(&self, rate: Rate) -> Result<(), ConfigError> {
        let error = |source| self.error(|uid, throttle| ConfigError::RateOfRequest { uid, throttle, rate, source });
        self.check_strategy(rate).map_err(error)
    }

    /// Checks whether the strategy supports a rate that replaces the throttle's own.
    pub(crate) fn check_changed_rate(&self, rate: Rate) -> Result<(), ConfigError> {
        let error = |source| self.error(|uid, throttle| ConfigError::ChangedRate { uid, throttle, rate, source });
        self.check_strategy(rate).map_err(error)
    }

    fn check_strategy(&self, rate: Rate) -> Result<(), StrategyError> {
        if rate.is_unlimited() { Ok(()) } else { self.settings.strategy.check(rate) }
    }

    /// Checks rules that are added to those of the throttle.
    pub(crate) fn check_rules(&self, added: &Applies) -> Result<(), ConfigError> {
        let mut all = self.settings.request.applies.clone();
        all.add_all(added);
        all.check().map_err(|source| self.error(|uid, throttle| ConfigError::Rule { uid, throttle, source }))
    }

    /// `has_identity` says whether the type identifies clients.
    fn check_request(&self, has_identity: bool, warnings: &WarningLog) -> Result<(), ConfigError> {
        let request = &self.settings.request;
        if request.identity.is_some() && has_identity {
            return Err(self.error(|uid, throttle| ConfigError::TwoIdentities { uid, throttle }));
        }
        request.warn(&self.uid, warnings);
        if !request.refund_if.is_never() {
            self.check_refunds()?;
        }
        let denied = request.denied.check().map_err(RuleError::from);
        let checked = denied.and_then(|()| request.applies.check());
        checked.map_err(|source| self.error(|uid, throttle| ConfigError::Rule { uid, throttle, source }))
    }

    /// Checks whether charges can be refunded by the response.
    pub(crate) fn check_refunds(&self) -> Result<(), ConfigError> {
        if self.is_held {
            return Err(
                self.refund_if("a permit of `Concurrency` is given back when its request ends: remove `refund_if`")
            );
        }
        if self.settings.strategy.holding().is_some() {
            return Err(self.refund_if("requests that wait in the queue keep their turns: use another strategy"));
        }
        Ok(())
    }

    pub(crate) fn refund_if(&self, reason: &'static str) -> ConfigError {
        self.error(|uid, throttle| ConfigError::RefundIf { uid, throttle, reason })
    }

    fn check(&self, warnings: &WarningLog) -> Result<(), ConfigError> {
        let on_error = self.settings.on_error.as_ref().map_or(Ok(()), |on_error| on_error.check());
        let penalty = || self.settings.penalty.map_or(Ok(()), |penalty| penalty.check());
        let checked = on_error.and_then(|()| penalty());
        checked.map_err(|source| self.error(|uid, throttle| ConfigError::Setting { uid, throttle, source }))?;
        if let Some(share) = self.settings.warn_at.and_then(Share::out_of_range) {
            return Err(self.error(|uid, throttle| ConfigError::WarnAt { uid, throttle, share }));
        }
        let error = |source| self.error(|uid, throttle| ConfigError::Strategy { uid, throttle, source });
        self.check_strategy(self.rate).map_err(error)?;
        self.warn_of_cost(self.rate, self.settings.cost, warnings);
        Ok(())
    }

    /// Warns of a cost that the limit never admits, as the rate and the cost are in a snapshot.
    pub(crate) fn warn_of_changed_cost(&self, live: &Live, warnings: &WarningLog) {
        let limit = live.of(&self.uid);
        let rate = limit.rate().or(limit.base_rate()).unwrap_or(self.rate);
        let cost = limit.cost().or(limit.base_cost()).unwrap_or(self.settings.cost);
        self.warn_of_cost(rate, cost, warnings);
    }

    /// Warns of a cost that the limit never admits.
    fn warn_of_cost(&self, rate: Rate, cost: u64, warnings: &WarningLog) {
        if rate.is_unlimited() {
            return;
        }
        let capacity = self.settings.strategy.capacity(rate);
        if cost > capacity && warnings.is_first(Warning::CostNeverFits, Some(&self.uid)) {
            warn_of!(
                Warning::CostNeverFits,
                uid = &*self.uid,
                cost,
                capacity,
                "the cost of this throttle is higher than its capacity, so every request is refused: lower the cost, or \
                 raise the rate"
            );
        }
    }
}

/// A backend of a limit, and what belongs to it.
#[derive(Debug)]
pub(crate) struct LimitBackend {
    pub(crate) store: Arc<Store>,
    pub(crate) policy: Arc<ErrorPolicy>,
    /// Counts refusals, if the limit has a penalty.
    pub(crate) penalties: Option<Arc<Penalties>>,
}

/// The backends of a limit. As a rule there is one.
#[derive(Debug, Default)]
pub(crate) struct LimitBackends {
    /// `None` if everything is admitted.
    pub(super) first: Option<LimitBackend>,
    /// The additional backends of the app, if requests choose one.
    pub(super) others: Box<[LimitBackend]>,
}

/// The place of a backend among those of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BackendIndex(u16);

impl BackendIndex {
    const FIRST: Self = Self(0);
    /// No request has chosen one.
    const NONE: Self = Self(u16::MAX);

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl LimitBackends {
    #[inline]
    pub(crate) fn get(&self, BackendIndex(index): BackendIndex) -> Option<&LimitBackend> {
        match index.checked_sub(1) {
            None => self.first.as_ref(),
            Some(index) => self.others.get(usize::from(index)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LimitBackend> {
        self.first.iter().chain(&self.others)
    }

    /// Returns the place of each.
    pub(crate) fn indices(&self) -> impl Iterator<Item = BackendIndex> {
        (0..BackendIndex::NONE.0).map(BackendIndex).take_while(|index| self.get(*index).is_some())
    }

    /// Returns the place of a backend by its name, which is `default` for the app's own.
    pub(super) fn find(&self, name: &str) -> Option<BackendIndex> {
        let index = self.iter().position(|backend| backend.store.label() == name)?;
        u16::try_from(index).ok().map(BackendIndex).filter(|index| !index.is_none())
    }
}
