use std::{sync::Arc, time::Duration};

use super::{
    registry::Registry,
    traffik::{App, Traffik},
};
#[cfg(feature = "axum")]
use crate::web::WebDefaults;
use crate::{
    backend::{AnyBackend, Backend},
    client::Networks,
    clock::AnyClock,
    throttle::{ConfigError, Declared, Throttles},
};

/// Sets up a [`Traffik`].
///
/// ```
/// use std::time::Duration;
/// use traffik::{Traffik, backend::MemoryBackend};
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp")).backend_timeout(Duration::from_millis(50)).build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct TraffikBuilder {
    backend: AnyBackend,
    clock: AnyClock,
    backend_timeout: Duration,
    networks: Networks,
    allow_duplicate_uids: bool,
    throttles: Vec<Register>,
    #[cfg(feature = "axum")]
    pub(crate) web: WebDefaults,
}

/// Makes a throttle, or several, known to an app.
type Register = fn(&Traffik) -> Result<(), ConfigError>;

impl TraffikBuilder {
    /// The longest that a call of the backend may take, unless told otherwise.
    pub const DEFAULT_BACKEND_TIMEOUT: Duration = Duration::from_millis(100);

    pub(super) fn new(backend: impl Backend) -> Self {
        Self {
            clock: backend.clock(),
            backend: AnyBackend::new(backend),
            backend_timeout: Self::DEFAULT_BACKEND_TIMEOUT,
            networks: Networks::default(),
            allow_duplicate_uids: false,
            throttles: Vec::new(),
            #[cfg(feature = "axum")]
            web: WebDefaults::default(),
        }
    }

    /// Measures deadlines and delays by this clock. Decisions go by the backend's, which is also the one for these unless
    /// told otherwise: a test that moves time gives its clock to the backend.
    pub fn clock(self, clock: impl Into<AnyClock>) -> Self {
        Self { clock: clock.into(), ..self }
    }

    /// Waits for an answer of the backend no longer than this: 100 ms unless told otherwise. A backend in memory answers
    /// at once.
    pub fn backend_timeout(self, timeout: Duration) -> Self {
        Self { backend_timeout: timeout, ..self }
    }

    /// Counts clients at IPv6 addresses by this many leading bits of them: 64 unless told otherwise, since that is what a
    /// single customer usually has to himself. IPv4 addresses count whole.
    pub fn ipv6_prefix(self, bits: u8) -> Self {
        Self { networks: Networks::with_ipv6_prefix(bits), ..self }
    }

    /// Checks a throttle, or each of a tuple, in [`build`](Self::build), rather than when it is first used.
    pub fn register<T: Throttles>(mut self) -> Self {
        self.throttles.push(Traffik::register::<T>);
        self
    }

    /// Lets different throttles have one uid, and so share what is counted. It is meant for test binaries in which many
    /// apps declare throttles of their own.
    pub fn allow_duplicate_uids(self) -> Self {
        Self { allow_duplicate_uids: true, ..self }
    }

    /// The handle.
    ///
    /// # Errors
    ///
    /// When a throttle that a macro declares, anywhere in the program, or one that is [registered](Self::register), is set
    /// up wrong, or has the uid of another.
    pub fn build(self) -> Result<Traffik, ConfigError> {
        if !self.allow_duplicate_uids {
            Registry::check_declared()?;
        }
        Declared::check_each()?;
        let throttles = self.throttles.clone();
        let traffik = self.unchecked();
        for register in throttles {
            register(&traffik)?;
        }
        Ok(traffik)
    }

    /// The handle, with nothing registered that could be wrong.
    pub(super) fn unchecked(self) -> Traffik {
        Traffik::from(App {
            backend: Some(self.backend),
            clock: self.clock,
            backend_timeout: self.backend_timeout,
            networks: self.networks,
            registry: Registry::new(self.allow_duplicate_uids),
            #[cfg(feature = "axum")]
            web: self.web,
        })
    }
}

impl From<App> for Traffik {
    fn from(app: App) -> Self {
        Self { app: Arc::new(app) }
    }
}
