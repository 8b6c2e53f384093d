use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;

#[cfg(feature = "test")]
use traffik::clock::AnyClock;
use traffik::{
    backend::{Backend, BackendError},
    decision::{Decision, Hit, Receipt},
};

use crate::{
    RedisBackendBuilder, answer,
    client::{CallError, Client, Reply},
    keys::Keys,
    question::Question,
    scripts::{Programs, Script, Scripts},
};

/// A backend that keeps its entries in Redis: one limit across all processes that share it. Clones are the same one.
///
/// See the [crate's documentation](crate) for what it promises, and for an example.
#[derive(Clone)]
pub struct RedisBackend {
    store: Arc<Store>,
    scripts: Arc<Scripts>,
    /// The clock that the programs are told the time of, where they do not read the server's.
    #[cfg(feature = "test")]
    by_hand: Option<AnyClock>,
}

struct Store {
    namespace: String,
    keys: Keys,
    client: Client,
    deadline: Duration,
    closed: AtomicBool,
}

impl Store {
    async fn within_deadline<T>(&self, call: impl Future<Output = Result<T, CallError>>) -> Result<T, BackendError> {
        timeout(self.deadline, call).await.map_err(|_| BackendError::Timeout(self.deadline))?.map_err(Into::into)
    }
}

impl RedisBackend {
    /// Sets one up at an address such as `redis://user:password@localhost:6379/0`, or `rediss://` with the feature `rustls`.
    pub fn builder(address: impl Into<String>) -> RedisBackendBuilder {
        RedisBackendBuilder::new(address.into())
    }

    pub(crate) fn new(namespace: String, keys: Keys, client: Client, deadline: Duration) -> Self {
        let store = Store { namespace, keys, client, deadline, closed: AtomicBool::new(false) };
        Self {
            store: Arc::new(store),
            scripts: Arc::new(Scripts::new()),
            #[cfg(feature = "test")]
            by_hand: None,
        }
    }

    /// The same store for a test, which goes by a clock of the test's own: its programs are others, which are told the time.
    /// What they store stays for an hour, whenever it expires by that clock.
    ///
    /// Entries that are written by hand and those that are written by the server's clock do not go together.
    #[cfg(feature = "test")]
    #[must_use]
    pub fn by_hand(&self, clock: impl Into<AnyClock>) -> Self {
        Self { scripts: Arc::new(Scripts::by_hand()), by_hand: Some(clock.into()), ..self.clone() }
    }

    fn open(&self) -> Result<&Store, BackendError> {
        if self.store.closed.load(Ordering::Acquire) { Err(BackendError::Closed) } else { Ok(&self.store) }
    }

    async fn ask(&self, program: fn(&Programs) -> &Script, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let store = self.open()?;
        let question = Question::new(&store.keys, hits)?;
        let Some(twins) = question.twins else {
            let now = self.clock().now();
            return Ok(hits.iter().map(|hit| answer::unlimited(hit, now)).collect());
        };
        let reply = self.run(store, program(self.scripts.of(twins)), &question, None).await?;
        answer::decision(reply, hits, &question)
    }

    async fn run(
        &self,
        store: &Store,
        script: &Script,
        question: &Question,
        more: Option<Vec<u8>>,
    ) -> Result<Reply, BackendError> {
        let args = [Some(question.hits.clone()), more, self.time_by_hand()].into_iter().flatten().collect();
        store.within_deadline(store.client.run(script, &question.keys, args)).await
    }

    #[cfg(feature = "test")]
    fn time_by_hand(&self) -> Option<Vec<u8>> {
        self.by_hand.as_ref().map(|clock| clock.now().as_micros().to_string().into_bytes())
    }

    #[cfg(not(feature = "test"))]
    #[expect(clippy::unused_self, reason = "with the feature `test` it knows a clock")]
    fn time_by_hand(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Backend for RedisBackend {
    fn namespace(&self) -> &str {
        &self.store.namespace
    }

    #[cfg(feature = "test")]
    fn clock(&self) -> AnyClock {
        self.by_hand.clone().unwrap_or_else(AnyClock::system)
    }

    async fn decide(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.ask(|programs| &programs.decide, hits).await
    }

    async fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.ask(|programs| &programs.peek, hits).await
    }

    async fn refund(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        let store = self.open()?;
        let limited = || receipts.iter().filter(|receipt| !receipt.hit.rate.is_unlimited());
        let question = Question::new(&store.keys, limited().map(|receipt| &receipt.hit))?;
        let Some(twins) = question.twins else { return Ok(()) };
        let times = limited().flat_map(|receipt| receipt.charged_at.as_micros().to_le_bytes().into_iter().take(7));
        self.run(store, &self.scripts.of(twins).refund, &question, Some(times.collect())).await.map(drop)
    }

    async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        let store = self.open()?;
        let keys = hits.iter().map(|hit| store.keys.of(hit).map_err(BackendError::unavailable));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Ok(()) } else { store.within_deadline(store.client.remove(&keys)).await }
    }

    /// Forgets everything in this namespace, some keys at a time; what is written meanwhile may stay.
    async fn clear(&self) -> Result<(), BackendError> {
        let store = self.open()?;
        Ok(store.client.clear(&store.keys.pattern()).await?)
    }

    /// Lets go of the connection, for all clones. What is stored stays.
    async fn close(&self) -> Result<(), BackendError> {
        if self.store.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.store.within_deadline(self.store.client.close()).await
    }
}

/// Its name, and nothing of where it is or what it holds.
impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend").field("namespace", &self.store.namespace).finish_non_exhaustive()
    }
}
