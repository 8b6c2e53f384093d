use super::TraffikBuilder;
use crate::observe::{ClientDigest, LogLevel};

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
