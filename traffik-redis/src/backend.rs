use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "unstable-manual-clock")]
use traffik_core::clock::AnyClock;
use traffik_core::{
    backend::{Answer, Backend, BackendError, Control, ControlRequest, MaybeReady},
    clock::Timestamp,
    decision::{Adjusted, Adjustment, Charge, Decision, Hit},
};

use crate::{
    by_swap::Turns,
    calls::{Calls, RedisStats},
    client::Client,
    keys::Keys,
    refusals::Refusals,
    scripts::Time,
    store::Store,
};

/// A backend that keeps its entries in Redis: one limit across all processes that share it. Clones are the same one.
///
/// See the [crate's documentation](crate) for what it promises, and for an example.
#[derive(Clone)]
pub struct RedisBackend(Arc<Store>);

impl RedisBackend {
    pub(crate) fn new(namespace: String, keys: Keys, client: Client, deadline: Duration, refusals: Refusals) -> Self {
        let calls = Calls::new(client.clone(), Time::of_server(), deadline);
        Self(Arc::new(Store { namespace, keys, client, calls, turns: Turns::new(), refusals }))
    }

    /// Returns the same store with the clock of a test, for the tests of this workspace. Other programs run, which receive the
    /// time. What they store stays for an hour, whenever it expires by that clock. No refusal is remembered.
    ///
    /// Entries that were written by the server's clock cannot be used with it.
    #[doc(hidden)]
    #[cfg(feature = "unstable-manual-clock")]
    #[must_use]
    pub fn by_hand(&self, clock: impl Into<AnyClock>) -> Self {
        let (store, clock) = (&self.0, clock.into());
        Self(Arc::new(Store {
            namespace: store.namespace.clone(),
            keys: store.keys.clone(),
            client: store.client.clone(),
            calls: store.calls.by(Time::by_hand(clock)),
            turns: Turns::new(),
            refusals: Refusals::new(0, Duration::ZERO),
        }))
    }

    /// What became of the calls so far, for metrics and alarms.
    #[must_use]
    pub fn stats(&self) -> RedisStats {
        self.0.calls.stats()
    }

    fn open(&self) -> Result<&Arc<Store>, BackendError> {
        if self.0.client.is_closed() { Err(BackendError::Closed) } else { Ok(&self.0) }
    }
}

impl Backend for RedisBackend {
    fn namespace(&self) -> &str {
        &self.0.namespace
    }

    #[cfg(feature = "unstable-manual-clock")]
    fn clock(&self) -> AnyClock {
        self.0.calls.clock()
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.open().map_or_else(closed, |store| store.decide(hits))
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.open().map_or_else(closed, |store| store.peek(hits))
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        self.open().map_or_else(closed, |store| store.adjust(adjustments))
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        self.open().map_or_else(closed, |store| store.renew(charges))
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        self.open().map_or_else(closed, |store| store.reset(hits))
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        self.open().map_or_else(closed, |store| store.control(request))
    }

    /// Forgets everything in this namespace, some keys at a time; what is written meanwhile may stay.
    fn clear(&self) -> Answer<'_, ()> {
        self.open().map_or_else(closed, Store::clear)
    }

    /// Closes the connection, for all clones, without waiting: calls in flight end with an error. What is stored stays.
    fn close(&self) -> Answer<'_, ()> {
        // Not behind other calls, which may be what there is to be let go of.
        self.0.client.close();
        MaybeReady::Ready(Ok(()))
    }
}

fn closed<T>(error: BackendError) -> Answer<'static, T> {
    MaybeReady::Ready(Err(error))
}

/// Its name, and nothing of where it is or what it holds.
impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}
