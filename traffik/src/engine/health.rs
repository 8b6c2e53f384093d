//! Whether the backends of an app answer, and what decides about requests now: health checks.
//!
//! [`Traffik::health`] reports what the calls of requests showed. [`Traffik::check_health`] asks each backend, for a readiness
//! probe that also works without traffic. The guide has a route for it, in `docs/outages.md#health-checks`.

use std::sync::Arc;

use traffik_core::clock::Timestamp;

use super::Traffik;
pub use crate::on_error::Deciding;
use crate::{
    on_error::{
        ErrorPolicy, Probe,
        breaker::{BreakerState, BreakerStatus},
    },
    store::{AvailabilityState, Store},
};

/// Whether the backends of an app answer. [`Traffik::health`] and [`Traffik::check_health`] return it.
#[derive(Clone, Debug)]
pub struct Health {
    backends: Vec<BackendHealth>,
}

/// Whether a backend answers, and what decides about the requests of its throttles now.
#[derive(Clone, Debug)]
pub struct BackendHealth {
    name: String,
    namespace: String,
    throttle: Option<String>,
    availability: AvailabilityState,
    deciding: Option<Deciding>,
    breaker: Option<BreakerStatus>,
}

impl Health {
    /// Returns `true` if no outage rejects requests: for each backend, the backend decides, or what
    /// [`on_error`](crate::on_error) lets decide in its place. A backend that was not asked yet counts as one that answers.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let turns_away = |deciding: Deciding| matches!(deciding, Deciding::Refuse | Deciding::Raise);
        !self.backends.iter().filter_map(BackendHealth::deciding).any(turns_away)
    }

    /// Returns `true` if no backend failed at the last call, and no breaker is open or half-open.
    #[must_use]
    pub fn is_undisturbed(&self) -> bool {
        let is_closed = |breaker: BreakerStatus| breaker.state == BreakerState::Closed;
        self.backends.iter().all(|backend| backend.answers() != Some(false) && backend.breaker().is_none_or(is_closed))
    }

    /// Returns each backend, followed by its fallback if it has one, and then those of throttles with an
    /// [`on_error`](crate::Settings::on_error) of their own. Empty if limits are [disabled](Traffik::disabled).
    #[must_use]
    pub fn backends(&self) -> &[BackendHealth] {
        &self.backends
    }
}

impl BackendHealth {
    /// Returns the name: `default` for the app's own backend, that of
    /// [`TraffikBuilder::backend`](crate::TraffikBuilder::backend) for others, and the same followed by `:fallback` for a
    /// fallback.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the uid of the throttle whose own [`on_error`](crate::Settings::on_error) this is about. `None` if it is about the
    /// setting of the app.
    #[must_use]
    pub fn throttle(&self) -> Option<&str> {
        self.throttle.as_deref()
    }

    /// Returns whether the last call got an answer. `None` if there was no call.
    #[must_use]
    pub fn answers(&self) -> Option<bool> {
        self.availability.answers
    }

    /// Returns since when [`answers`](Self::answers) has its value, by the app's clock. `None` if there was no call.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.availability.since
    }

    /// Returns the last error, also if the backend has answered since.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.availability.last_error.as_ref().map(|error| &*error.text)
    }

    /// Returns when the last error occurred, by the app's clock.
    #[must_use]
    pub fn last_error_at(&self) -> Option<Timestamp> {
        self.availability.last_error.as_ref().map(|error| error.at)
    }

    /// Returns what decides about requests now. `None` for a fallback.
    #[must_use]
    pub fn deciding(&self) -> Option<Deciding> {
        self.deciding
    }

    /// Returns the state of the circuit breaker. `None` without one.
    #[must_use]
    pub fn breaker(&self) -> Option<BreakerStatus> {
        self.breaker
    }

    /// Returns the time from which on a request, or [`Traffik::check_health`], tries the backend again. `None` if each request
    /// does.
    #[must_use]
    pub fn next_trial_at(&self) -> Option<Timestamp> {
        self.breaker?.next_trial_at
    }

    fn new(store: &Store, throttle: Option<&str>) -> Self {
        Self {
            name: store.label().to_owned(),
            namespace: store.namespace().to_owned(),
            throttle: throttle.map(str::to_owned),
            availability: store.availability(),
            deciding: None,
            breaker: None,
        }
    }
}

impl Traffik {
    /// Returns whether the backends answer, as the last calls showed. It makes no call.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik, health::Deciding};
    ///
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// let health = traffik.health();
    /// assert!(health.is_ready());
    /// assert_eq!(health.backends()[0].deciding(), Some(Deciding::Backend));
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        let of = |(throttle, store, policy): (Option<Arc<str>>, Arc<Store>, Arc<ErrorPolicy>)| {
            let (throttle, store) = (throttle.as_deref(), &*store);
            let (deciding, breaker) = (Some(policy.deciding(store)), policy.breaker_status());
            let primary = BackendHealth { deciding, breaker, ..BackendHealth::new(store, throttle) };
            let fallback = policy.fallback_store().map(|fallback| BackendHealth::new(fallback, throttle));
            [Some(primary), fallback].into_iter().flatten()
        };
        Health { backends: self.app.table.policies().flat_map(of).collect() }
    }

    /// Asks each backend and each fallback whether it answers, and returns the same as [`health`](Self::health).
    ///
    /// For a readiness probe: an app without traffic notices an outage, and its end. The call changes nothing, and takes no
    /// longer than [`backend_timeout`](crate::TraffikBuilder::backend_timeout). A circuit breaker counts it like a request: while
    /// the breaker is half-open, each call is a trial. While it is open, the result is reported, and the breaker stays open until
    /// its recovery timeout has passed.
    pub async fn check_health(&self) -> Health {
        let all: Vec<_> = self.app.table.policies().collect();
        let policies = |store: &Arc<Store>| {
            let store = Arc::as_ptr(store);
            all.iter().filter(move |(_, other, _)| Arc::as_ptr(other) == store).map(|(.., policy)| &**policy)
        };
        // All start before the first is awaited.
        let own = self.app.table.stores.iter().map(|store| Probe::start(store, policies(store)));
        let fallbacks = all.iter().filter_map(|(.., policy)| policy.fallback_store());
        let probes: Vec<_> = own.chain(fallbacks.map(|store| Probe::start(store, std::iter::empty()))).collect();
        for probe in probes {
            probe.finish().await;
        }
        self.health()
    }
}

#[cfg(feature = "serde")]
mod serialize {
    use serde::{Serialize, Serializer, ser::SerializeStruct};

    use super::{BackendHealth, BreakerState, Deciding, Health};

    /// Serializes the health as `{"ready": .., "backends": [..]}`.
    impl Serialize for Health {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut fields = serializer.serialize_struct("Health", 2)?;
            fields.serialize_field("ready", &self.is_ready())?;
            fields.serialize_field("backends", &self.backends)?;
            fields.end()
        }
    }

    /// Serializes the health as an object. Times are texts such as `2026-01-31T12:00:00.000000Z`, or null.
    impl Serialize for BackendHealth {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let breaker = |state| match state {
                BreakerState::Closed => "closed",
                BreakerState::Open => "open",
                BreakerState::HalfOpen => "half-open",
            };
            let mut fields = serializer.serialize_struct("BackendHealth", 10)?;
            fields.serialize_field("name", self.name())?;
            fields.serialize_field("namespace", self.namespace())?;
            fields.serialize_field("throttle", &self.throttle())?;
            fields.serialize_field("answers", &self.answers())?;
            fields.serialize_field("since", &self.since().map(|time| time.to_string()))?;
            fields.serialize_field("last_error", &self.last_error())?;
            fields.serialize_field("last_error_at", &self.last_error_at().map(|time| time.to_string()))?;
            fields.serialize_field("deciding", &self.deciding().map(Deciding::as_str))?;
            fields.serialize_field("breaker", &self.breaker().map(|status| breaker(status.state)))?;
            fields.serialize_field("next_trial_at", &self.next_trial_at().map(|time| time.to_string()))?;
            fields.end()
        }
    }
}
