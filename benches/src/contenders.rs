//! governor and traffik, each with entries for all of its clients.

use governor::DefaultKeyedRateLimiter;
use traffik::{
    backend::{Backend, MaybeReady, MemoryBackend},
    client::Key,
    decision::{Hit, LimitId},
    strategy::AnyStrategy,
};

use crate::{clients::ClientKey, limits::Limit};

/// A limiter that has an entry for each of its clients.
pub trait Contender: Sync {
    /// The key of a client.
    type Key: Eq + Sync;

    /// Returns all clients.
    fn clients(&self) -> &[Self::Key];

    /// Returns whether a request of this client is admitted.
    fn admits(&self, client: &Self::Key) -> bool;
}

/// governor with its defaults: its own clock and its own table.
#[derive(Debug)]
pub struct Governor<'a, K: ClientKey> {
    limiter: DefaultKeyedRateLimiter<K>,
    keys: &'a [K],
}

impl<'a, K: ClientKey> Governor<'a, K> {
    /// Creates a limiter with an entry for each client.
    pub fn new(keys: &'a [K], limit: &Limit) -> Self {
        Self { limiter: governor(keys.iter().cloned(), limit), keys }
    }
}

impl<K: ClientKey> Contender for Governor<'_, K> {
    type Key = K;

    fn clients(&self) -> &[K] {
        self.keys
    }

    #[inline]
    fn admits(&self, client: &K) -> bool {
        self.limiter.check_key(client).is_ok()
    }
}

/// Returns a governor with entries for these keys.
pub fn governor<K: ClientKey>(keys: impl IntoIterator<Item = K>, limit: &Limit) -> DefaultKeyedRateLimiter<K> {
    let limiter = DefaultKeyedRateLimiter::keyed(limit.quota);
    for key in keys {
        let met = limiter.check_key_n(&key, limit.used);
        assert!(matches!(met, Ok(Ok(_))), "a newcomer may use what the limit allows");
    }
    limiter
}

/// traffik's memory backend with its defaults except the maximum, with a limit of one strategy.
#[derive(Debug)]
pub struct Traffik<'a> {
    backend: MemoryBackend,
    id: LimitId,
    limit: &'a Limit,
    keys: &'a [Key],
}

impl<'a> Traffik<'a> {
    /// Creates a limiter with an entry for each client.
    #[must_use]
    pub fn new(keys: &'a [Key], limit: &'a Limit, strategy: &'a AnyStrategy) -> Self {
        let id = LimitId::new("benches:limit", strategy.clone());
        Self { backend: traffik(keys.iter().cloned(), limit, &id), id, limit, keys }
    }
}

impl Contender for Traffik<'_> {
    type Key = Key;

    fn clients(&self) -> &[Key] {
        self.keys
    }

    #[inline]
    fn admits(&self, client: &Key) -> bool {
        admits(&self.backend, &[hit(client, &self.id, self.limit)])
    }
}

/// Returns a store with entries for these keys, of which no shard is full.
pub fn traffik(keys: impl IntoIterator<Item = Key>, limit: &Limit, id: &LimitId) -> MemoryBackend {
    // With a maximum of a million entries, some shards would be full. A tenth more avoids evictions.
    let backend = traffik_of(keys, 1_100_000, limit, id);
    assert_eq!(backend.evictions(), 0, "no entry was evicted");
    backend
}

/// Returns a store with room for `max_entries`, with entries for these keys.
#[expect(clippy::expect_used, reason = "the number of entries is in range")]
pub fn traffik_of(
    keys: impl IntoIterator<Item = Key>,
    max_entries: usize,
    limit: &Limit,
    id: &LimitId,
) -> MemoryBackend {
    let backend = MemoryBackend::builder("benches").max_entries(max_entries).build().expect("the maximum is in range");
    for key in keys {
        meet(&backend, &key, limit, id);
    }
    backend
}

/// Charges a client what clients have used when the measurement starts.
pub fn meet(backend: &MemoryBackend, key: &Key, limit: &Limit, id: &LimitId) {
    let first = hit(key, id, limit).costing(u64::from(limit.used.get()));
    assert!(admits(backend, &[first]), "a newcomer may use what the limit allows");
}

/// Returns one request of a client.
#[inline]
#[must_use]
pub const fn hit<'a>(key: &'a Key, id: &'a LimitId, limit: &Limit) -> Hit<'a> {
    Hit::new(id, key, limit.rate, 1)
}

/// Returns whether the store admits all of `hits`.
#[inline]
#[must_use]
pub fn admits(backend: &MemoryBackend, hits: &[Hit<'_>]) -> bool {
    matches!(&backend.decide(hits), MaybeReady::Ready(Ok(decision)) if decision.is_admitted())
}
