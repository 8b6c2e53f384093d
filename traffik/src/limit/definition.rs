use std::{
    any::TypeId,
    borrow::Cow,
    panic::Location,
    sync::{Arc, atomic::AtomicBool},
};

use traffik_core::{
    decision::LimitId,
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

use super::{
    ByUid, ConfigError, DefaultIdentity, Settings, Throttle, changes::Changes, penalty::Penalties, queue::Queue,
    share::Share, uid, waiters::Waiters,
};
use crate::{
    fields::PolicyItem,
    observe::{Counters, LimitInstruments, LogThrottle, Observers, RefusalSample},
    on_error::{ErrorPolicy, Policies},
    request::{Applies, RuleError, Source},
    store::{Store, Stores},
    warning::{Warning, WarningLog},
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
    /// The store of the limit. `None` if everything is admitted.
    pub(crate) store: Option<Arc<Store>>,
    /// The error policy. `None` if there is no store.
    pub(crate) policy: Option<Arc<ErrorPolicy>>,
    /// The queue of held requests, if the strategy delays.
    pub(crate) queue: Option<Arc<Queue>>,
    /// The callers that wait for a turn.
    pub(crate) waiters: Arc<Waiters>,
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
    /// Counts refusals, if the throttle has a penalty.
    pub(crate) penalties: Option<Arc<Penalties>>,
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
    /// Creates the limit of a type.
    pub(super) fn of<T: Throttle>(name: &'static str, settings: Settings) -> Self {
        const { uid::check(T::UID) };
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
        let own_label = if type_id == TypeId::of::<ByUid>() { uid::prefix(&uid) } else { &uid };
        let label = settings.label.clone().unwrap_or_else(|| own_label.into());
        let mut definition = Self {
            type_id,
            name,
            rate,
            identity,
            limit: Arc::new(LimitId::new(&*uid, settings.strategy.clone())),
            waiters: Waiters::new(&label, settings.max_waiters),
            label,
            settings,
            is_held: false,
            store: stores.own().cloned(),
            policy: None,
            queue: None,
            items: PolicyItem::new(&uid, rate),
            uid,
            is_second: AtomicBool::new(false),
            counters: Counters::default(),
            undecided: LogThrottle::default(),
            observers: Arc::clone(observers),
            instruments: LimitInstruments::default(),
            refusals: RefusalSample::default(),
            penalties: None,
        };
        definition.check(warnings)?;
        definition.is_held = matches!(definition.settings.strategy, AnyStrategy::Concurrency(_));
        definition.check_request(has_identity, warnings)?;
        definition.find_store(stores)?;
        definition.queue = Queue::by(&definition.limit);
        definition.policy = definition.store.as_ref().and_then(|store| match &definition.settings.on_error {
            Some(own) => Some(Arc::new(ErrorPolicy::new(own.clone(), store))),
            None => policies.of(store).cloned(),
        });
        let penalty = definition.settings.penalty.zip(definition.store.as_ref());
        definition.penalties =
            penalty.map(|(settings, store)| Penalties::new(settings, &definition.uid, store, changes));
        Ok(definition)
    }

    /// Returns the limit in its store. If the queue is full, its strategy admits only requests that need not wait.
    #[inline]
    pub(crate) fn limit(&self, is_full: bool) -> &Arc<LimitId> {
        match &self.queue {
            Some(queue) if is_full => queue.when_full(),
            _ => &self.limit,
        }
    }

    /// Returns whether the throttle may reject requests: it is in no dry run.
    pub(crate) fn is_enforced(&self) -> bool {
        !self.settings.request.is_dry_run
    }

    /// Returns whether the limit is a value, and no type.
    pub(crate) fn is_value(&self) -> bool {
        self.type_id == TypeId::of::<ByUid>()
    }

    /// Returns the name for metrics and logs, of which an app has few.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Returns the name of the backend in events.
    pub(crate) fn backend(&self) -> &str {
        self.store.as_ref().map_or(Store::OWN, |store| store.label())
    }

    /// Returns the store of several throttles that are one decision. They must share a store, because only one backend
    /// can charge all of them or none.
    pub(crate) fn store_of_all<'a>(
        mut definitions: impl Iterator<Item = &'a Arc<Self>>,
    ) -> Result<Option<&'a Arc<Store>>, ConfigError> {
        let Some(first) = definitions.next() else { return Ok(None) };
        let address = |definition: &Self| definition.store.as_ref().map(Arc::as_ptr);
        match definitions.find(|definition| address(definition) != address(first)) {
            None => Ok(first.store.as_ref()),
            Some(second) => Err(ConfigError::TwoBackends {
                first: Box::from(&*first.uid),
                first_backend: first.settings.backend.map(Into::into),
                second: Box::from(&*second.uid),
                second_backend: second.settings.backend.map(Into::into),
            }),
        }
    }

    /// Finds the backend that the settings name. Does nothing if everything is admitted.
    fn find_store(&mut self, stores: &Stores) -> Result<(), ConfigError> {
        if let (Some(name), Some(_)) = (self.settings.backend, &self.store) {
            let named = stores.named(name).cloned().ok_or_else(|| ConfigError::NoBackend {
                uid: Box::from(&*self.uid),
                throttle: Box::from(&*self.name),
                backend: name.into(),
                has: stores.names().map(Into::into).collect(),
            });
            self.store = Some(named?);
        }
        Ok(())
    }

    /// Checks whether the strategy supports a rate that is not the throttle's own.
    ///
    /// Checking costs no more than a lookup, so results are not cached.
    pub(crate) fn check_rate(&self, rate: Rate) -> Result<(), ConfigError> {
        if rate.is_unlimited() {
            return Ok(());
        }
        self.settings.strategy.check(rate).map_err(|source| ConfigError::RateOfRequest {
            uid: Box::from(&*self.uid),
            throttle: Box::from(&*self.name),
            rate,
            source,
        })
    }

    /// Checks whether the strategy supports a rate that replaces the throttle's own.
    pub(crate) fn check_changed_rate(&self, rate: Rate) -> Result<(), ConfigError> {
        if rate.is_unlimited() {
            return Ok(());
        }
        let check = self.settings.strategy.check(rate);
        check.map_err(|source| ConfigError::ChangedRate {
            uid: Box::from(&*self.uid),
            throttle: Box::from(&*self.name),
            rate,
            source,
        })
    }

    /// Checks rules that are added to those of the throttle.
    pub(crate) fn check_rules(&self, added: &Applies) -> Result<(), ConfigError> {
        let mut all = self.settings.request.applies.clone();
        all.add_all(added);
        all.check().map_err(|source| ConfigError::Rule {
            uid: Box::from(&*self.uid),
            throttle: Box::from(&*self.name),
            source,
        })
    }

    /// `has_identity` says whether the type identifies clients.
    fn check_request(&self, has_identity: bool, warnings: &WarningLog) -> Result<(), ConfigError> {
        let request = &self.settings.request;
        if request.identity.is_some() && has_identity {
            return Err(ConfigError::TwoIdentities { uid: Box::from(&*self.uid), throttle: Box::from(&*self.name) });
        }
        request.warn(&self.uid, warnings);
        if !request.refund_if.is_never() {
            self.check_refunds()?;
        }
        let denied = request.denied.check().map_err(RuleError::from);
        denied.and_then(|()| request.applies.check()).map_err(|source| ConfigError::Rule {
            uid: Box::from(&*self.uid),
            throttle: Box::from(&*self.name),
            source,
        })
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
        ConfigError::RefundIf { uid: Box::from(&*self.uid), throttle: Box::from(&*self.name), reason }
    }

    fn check(&self, warnings: &WarningLog) -> Result<(), ConfigError> {
        let on_error = self.settings.on_error.as_ref().map_or(Ok(()), |on_error| on_error.check());
        let penalty = || self.settings.penalty.map_or(Ok(()), |penalty| penalty.check());
        on_error.and_then(|()| penalty()).map_err(|source| ConfigError::Setting {
            uid: Box::from(&*self.uid),
            throttle: Box::from(&*self.name),
            source,
        })?;
        if let Some(share) = self.settings.warn_at.and_then(Share::out_of_range) {
            return Err(ConfigError::WarnAt { uid: Box::from(&*self.uid), throttle: Box::from(&*self.name), share });
        }
        if self.rate.is_unlimited() {
            return Ok(());
        }
        let strategy = &self.settings.strategy;
        strategy.check(self.rate).map_err(|source| ConfigError::Strategy {
            uid: Box::from(&*self.uid),
            throttle: Box::from(&*self.name),
            source,
        })?;
        self.warn_of_cost(self.rate, self.settings.cost, warnings);
        Ok(())
    }

    /// Warns of a cost that the limit never admits.
    pub(crate) fn warn_of_cost(&self, rate: Rate, cost: u64, warnings: &WarningLog) {
        if rate.is_unlimited() {
            return;
        }
        let capacity = self.settings.strategy.capacity(rate);
        let warning = Warning::CostNeverFits;
        if cost > capacity && warnings.is_first(warning, Some(&self.uid)) {
            tracing::warn!(
                warning = warning.name(),
                docs = warning.docs(),
                uid = &*self.uid,
                cost,
                capacity,
                "the cost of this throttle is higher than its capacity, so every request is refused: lower the cost, or \
                 raise the rate"
            );
        }
    }
}
