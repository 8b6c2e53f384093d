use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "test")]
use traffik::clock::AnyClock;
use traffik::{
    backend::{Backend, BackendError},
    clock::Timestamp,
    decision::{Decision, Hit, Receipt},
};

use crate::{
    RedisBackendBuilder, RedisStats, answer,
    by_swap::{self, Turns},
    calls::{Calls, Program},
    client::{Client, Origin},
    keys::Keys,
    places::Places,
    question::Question,
    refusals::{Moment, Refusals},
    scripts::{Programs, Time},
    slots::{Slots, receipts},
};

/// A backend that keeps its entries in Redis: one limit across all processes that share it. Clones are the same one.
///
/// See the [crate's documentation](crate) for what it promises, and for an example.
#[derive(Clone)]
pub struct RedisBackend {
    store: Arc<Store>,
    /// The same for the stores of all times.
    closed: Arc<AtomicBool>,
}

struct Store {
    namespace: String,
    keys: Keys,
    client: Client,
    calls: Calls,
    turns: Turns,
    refusals: Refusals,
}

impl RedisBackend {
    /// Sets one up at an address:
    ///
    /// | address | for |
    /// |---|---|
    /// | `redis://user:password@host:6379/0` | a server, database 0 |
    /// | `rediss://..` | one that speaks TLS, with the feature `rustls` |
    /// | `unix:///run/redis.sock?db=0` | one behind a Unix socket |
    /// | `redis-cluster://host:7000?node=host:7001` | a cluster that has these nodes and others, with the feature `cluster` |
    /// | `redis-sentinel://host:26379/0?sentinelServiceName=main&node=host:26380` | the primary that sentinels name |
    ///
    /// Clusters and sentinels speak TLS as `rediss-cluster` and `rediss-sentinel`. Those with a password of their own
    /// take it as `&sentinelUsername=..&sentinelPassword=..`. `valkey` does instead of `redis`, `valkeys` of `rediss`.
    pub fn builder(address: impl Into<String>) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Origin::Address(address.into()))
    }

    /// Sets one up from a configuration of [fred]'s, for what no address can say: authorities of your own for
    /// TLS, for one.
    ///
    /// Only where and who is taken from it (`server`, `username`, `password`, `database`, `version`, `tls`). How calls are
    /// bounded, and how connections are made again, stays this crate's business.
    pub fn from_config(config: fred::types::config::Config) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Origin::Config(Box::new(config)))
    }

    /// Sets one up on a client of [fred]'s that you have connected and share.
    ///
    /// It is used as it is, and so nobody but you can set it up to keep what is promised here:
    ///
    /// - `ConnectionConfig::max_command_attempts` has to be 1: a call that is sent again may be charged twice. That it is not
    ///   is an event of [`tracing`].
    /// - A `ReconnectPolicy` without a maximum of attempts; without a policy it never connects again.
    /// - `PerformanceConfig::default_command_timeout` and `ConnectionConfig::internal_command_timeout`, so that nothing hangs.
    ///
    /// It is not watched for servers that hang, and not closed by [`close`](Backend::close). One for a cluster is refused.
    pub fn from_client(client: fred::clients::Client) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Origin::Client(client))
    }

    pub(crate) fn new(namespace: String, keys: Keys, client: Client, deadline: Duration, refusals: Refusals) -> Self {
        let calls = Calls::new(client.clone(), Time::of_server(), deadline);
        let store = Store { namespace, keys, client, calls, turns: Turns::new(), refusals };
        Self { store: Arc::new(store), closed: Arc::default() }
    }

    /// The same store for a test, which goes by a clock of the test's own: its programs are others, which are told the time.
    /// What they store stays for an hour, whenever it expires by that clock. No refusal is remembered.
    ///
    /// Entries that are written by hand and those that are written by the server's clock do not go together.
    #[cfg(feature = "test")]
    #[must_use]
    pub fn by_hand(&self, clock: impl Into<AnyClock>) -> Self {
        let (store, clock) = (&self.store, clock.into());
        let by_hand = Store {
            namespace: store.namespace.clone(),
            keys: store.keys.clone(),
            client: store.client.clone(),
            calls: store.calls.by(Time::by_hand(clock)),
            turns: Turns::new(),
            refusals: Refusals::none(),
        };
        Self { store: Arc::new(by_hand), closed: Arc::clone(&self.closed) }
    }

    /// What became of the calls so far, for metrics and alarms.
    #[must_use]
    pub fn stats(&self) -> RedisStats {
        self.store.calls.stats()
    }

    fn open(&self) -> Result<&Store, BackendError> {
        if self.closed.load(Ordering::Acquire) { Err(BackendError::Closed) } else { Ok(&self.store) }
    }
}

impl Store {
    /// Where several hits are kept, if that is in several places. There may be such in a cluster only.
    fn places(&self, hits: &[Hit<'_>]) -> Result<Option<Slots>, BackendError> {
        let first = hits.first().map(|hit| hit.key);
        if !self.client.is_cluster() || hits.iter().all(|hit| Some(hit.key) == first) {
            return Ok(None);
        }
        Slots::of(hits, &self.keys).map(Some)
    }

    /// Decides in one call, or without one if the answer is known to be a refusal.
    async fn decide(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
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
    async fn decide_apart(&self, hits: &[Hit<'_>], slots: &Slots) -> Result<Decision, BackendError> {
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

    async fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
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

    async fn refund(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        let hits: Vec<_> = receipts.iter().map(|receipt| receipt.hit).collect();
        let places = Places::of(&hits, &self.keys)?;
        let refunded = if hits.iter().any(Places::is_own) {
            by_swap::refund(&self.calls, &self.turns, receipts, &places).await
        } else {
            self.refund_by_twins(receipts).await
        };
        self.refusals.forget(&places.keys, Moment::now());
        refunded
    }

    async fn refund_by_twins(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        let limited = || receipts.iter().filter(|receipt| !receipt.hit.rate.is_unlimited());
        let question = Question::new(&self.keys, limited().map(|receipt| &receipt.hit))?;
        if question.twins.is_none() {
            return Ok(());
        }
        let times = limited().flat_map(|receipt| receipt.charged_at.as_micros().to_le_bytes().into_iter().take(7));
        let refund: Program = |programs: &Programs| &programs.refund;
        self.calls.ask(refund, Arc::new(question), Some(times.collect())).await.map(drop)
    }
}

impl Backend for RedisBackend {
    fn namespace(&self) -> &str {
        &self.store.namespace
    }

    #[cfg(feature = "test")]
    fn clock(&self) -> AnyClock {
        self.store.calls.clock()
    }

    async fn decide(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let store = self.open()?;
        match store.places(hits)? {
            None => store.decide(hits).await,
            Some(slots) => store.decide_apart(hits, &slots).await,
        }
    }

    async fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let store = self.open()?;
        let Some(slots) = store.places(hits)? else { return store.peek(hits).await };
        let mut all = Vec::new();
        for part in slots.split(hits) {
            all.push(store.peek(&part).await?);
        }
        Ok(slots.join(&all))
    }

    async fn refund(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        let store = self.open()?;
        let hits: Vec<_> = receipts.iter().map(|receipt| receipt.hit).collect();
        let Some(slots) = store.places(&hits)? else { return store.refund(receipts).await };
        let mut refunded = Ok(());
        for part in slots.split(receipts) {
            refunded = store.refund(&part).await.and(refunded);
        }
        refunded
    }

    async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        let store = self.open()?;
        let keys = hits.iter().map(|hit| store.keys.of(hit).map_err(BackendError::unavailable));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Ok(());
        }
        let removed = store.calls.remove(keys.clone()).await;
        store.refusals.forget(&keys, Moment::now());
        removed
    }

    /// Forgets everything in this namespace, some keys at a time; what is written meanwhile may stay.
    async fn clear(&self) -> Result<(), BackendError> {
        let store = self.open()?;
        let cleared = store.calls.each(Box::pin(store.client.clear(&store.keys.pattern()))).await;
        store.refusals.forget_all(Moment::now());
        cleared
    }

    /// Lets go of the connection, for all clones. What is stored stays.
    async fn close(&self) -> Result<(), BackendError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.store.calls.close().await
    }
}

/// Its name, and nothing of where it is or what it holds.
impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend").field("namespace", &self.store.namespace).finish_non_exhaustive()
    }
}
