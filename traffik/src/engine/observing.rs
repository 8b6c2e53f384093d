//! What observes an app: hooks, logs, and counts.

use std::sync::Arc;

use super::{Traffik, TraffikBuilder};
use crate::{
    limit::{Definition, KnownBy},
    observe::{ClientDigest, Counts, Event, LogLevel},
};

impl TraffikBuilder {
    /// Puts all throttles of the app into a dry run: they count requests, and reject none. See
    /// [`Settings::dry_run`](crate::Settings::dry_run).
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// # let is_rollout = true;
    /// let mut builder = Traffik::builder(MemoryBackend::new("myapp"));
    /// if is_rollout {
    ///     builder = builder.dry_run();
    /// }
    /// let traffik = builder.build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn dry_run(mut self) -> Self {
        self.request.throttles.is_dry_run = true;
        self
    }

    /// Adds a function that receives an [`Event`] for each limit of a decision. See [`observe`](crate::observe).
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp"))
    ///     .on_event(|event| {
    ///         if event.is_near() {
    ///             println!("{:?} has {} left of {}", event.client(), event.remaining(), event.uid());
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// It may be called several times: each function receives every event, in the order in which they were added. A function runs
    /// on the path of the request, so it must not block: send what takes time to a task. A function that panics affects no
    /// request. The panic is logged, at most once a minute.
    pub fn on_event(mut self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.observers.add(hook);
        self
    }
}

impl TraffikBuilder {
    /// The shortest [`log_secret`](Self::log_secret).
    pub(super) const LOG_SECRET: usize = 16;

    /// Sets the level at which refusals are logged. Defaults to [`LogLevel::Debug`].
    ///
    /// The target is `traffik`. Each limit has at most one line a second, and `left_out` is the number of refusals since its
    /// line before. The other fields are `uid`, `outcome`, `cost`, `retry_after` in seconds, `path` with the names of its
    /// parameters (feature `matched-path`), and `client`, which is a digest: see [`log_secret`](Self::log_secret).
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik, observe::LogLevel};
    ///
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).log_refusals(LogLevel::Info).build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn log_refusals(mut self, level: LogLevel) -> Self {
        self.observers.refusals.level = level;
        self
    }

    /// Sets the key of the digests of clients in the log, of at least 16 bytes. Defaults to a random key for each app.
    ///
    /// With the same secret in all processes, and after a restart, a client has the same digest. Keep it secret: with the
    /// secret, an attacker can test which client a digest stands for.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// # let secret = "0123456789abcdef0123456789abcdef".to_owned();
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).log_secret(secret).build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// A shorter secret is an error of [`build`](Self::build).
    pub fn log_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        let secret = secret.as_ref();
        self.log_secret = Some(secret.len());
        self.observers.refusals.digest = ClientDigest::with_secret(secret);
        self
    }
}

impl Traffik {
    /// Ends the streams of events that [`admin`](crate::admin) serves. Requires the feature `admin`.
    ///
    /// [`close`](Self::close) does the same. Call this when the app begins to shut down: a graceful shutdown of a server waits for
    /// its responses, and a stream ends only with the client or here.
    #[cfg(feature = "admin")]
    pub fn close_event_streams(&self) {
        self.app.table.observers().streams.end();
    }

    /// Returns the decisions about each limit since the start of the app, by uid. They need no crate for metrics.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// for (uid, counts) in traffik.counts() {
    ///     println!("{uid}: {} admitted, {} refused", counts.admitted, counts.refused);
    /// }
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// They are those of this process, of all limits that the app registered, used or added. With the feature `serde`, a
    /// [`Counts`] can be serialized.
    #[must_use]
    pub fn counts(&self) -> Vec<(Arc<str>, Counts)> {
        let of = |limit: Arc<Definition>| (Arc::clone(&limit.uid), limit.counters.read());
        let mut all: Vec<_> = self.app.table.used().map(of).collect();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// Returns the decisions about one limit since the start of the app. Returns `None` if the app has registered, used or added no
    /// limit with this uid.
    #[must_use]
    pub fn counts_of(&self, uid: &str) -> Option<Counts> {
        let (definition, known_by) = self.app.table.by_uid(uid).ok()?;
        (known_by != KnownBy::Declared).then(|| definition.counters.read())
    }
}
