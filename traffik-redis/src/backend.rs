use std::{fmt, sync::Arc};

use traffik_core::{
    backend::{Adjusted, Answer, Backend, BackendError, Control, ControlRequest, MaybeReady},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
};

use crate::{instruments::RedisStats, store::Store};

/// Stores limits in Redis, and enforces one limit across all processes that share the server. Clones share the same
/// connection.
///
/// See the [crate documentation](crate) for its guarantees and an example.
#[derive(Clone)]
pub struct RedisBackend(pub(crate) Arc<Store>);

impl RedisBackend {
    /// Returns the same store with the clock of a test. For the tests of this workspace only.
    ///
    /// Runs other scripts, which receive the time as an argument. Their entries stay for an hour, whatever that clock
    /// says. Refusals are not remembered. Entries that were written by the server's clock cannot be used with this
    /// backend.
    #[doc(hidden)]
    #[cfg(feature = "unstable-manual-clock")]
    #[must_use]
    pub fn by_hand(&self, clock: impl Into<AnyClock>) -> Self {
        let Store { namespace, keys, client, deadline, .. } = &*self.0;
        let (clock, refusals) = (Some(clock.into()), crate::refusals::Refusals::new(0, std::time::Duration::ZERO));
        Self(Arc::new(Store::new(namespace.clone(), keys.clone(), client.clone(), *deadline, clock, refusals)))
    }

    /// Returns the counts of all calls so far, for metrics and alerts.
    #[must_use]
    pub fn stats(&self) -> RedisStats {
        self.0.client.stats()
    }

    /// Starts an operation, unless the backend is closed.
    fn start<T>(&self, start: impl FnOnce(&Arc<Store>) -> Answer<'static, T>) -> Answer<'static, T> {
        if self.0.client.is_closed() { MaybeReady::Ready(Err(BackendError::Closed)) } else { start(&self.0) }
    }
}

impl Backend for RedisBackend {
    fn namespace(&self) -> &str {
        &self.0.namespace
    }

    fn clock(&self) -> AnyClock {
        self.0.calls.clock()
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.start(|store| store.decide(hits))
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.start(|store| store.peek(hits))
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        self.start(|store| store.adjust(adjustments))
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        self.start(|store| store.renew(charges))
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        self.start(|store| store.reset(hits))
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        self.start(|store| store.control(request))
    }

    /// Removes all entries of this namespace, some keys at a time. Entries that are written meanwhile may stay.
    fn clear(&self) -> Answer<'_, ()> {
        self.start(Store::clear)
    }

    /// Closes the connection for all clones, without waiting. Calls in flight end with an error. Stored entries stay.
    fn close(&self) -> Answer<'_, ()> {
        // Does not queue behind other calls: they may be the reason to close.
        self.0.client.close();
        MaybeReady::Ready(Ok(()))
    }
}

/// Shows the namespace only: no address, and no stored data.
impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}
