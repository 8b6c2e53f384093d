use traffik_core::strategy::AnyStrategy;

use crate::{on_error::OnError, request::RequestSettings};

/// The settings of a throttle: everything except its uid and its rate.
///
/// ```
/// use traffik::{Settings, SlidingWindowCounter};
///
/// let settings = Settings::new().strategy(SlidingWindowCounter).cost(5);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    pub(crate) strategy: AnyStrategy,
    pub(crate) cost: u64,
    /// The name of the backend. `None` for the app's own.
    pub(crate) backend: Option<&'static str>,
    /// What happens when the backend gives no answer. `None` for the app's setting.
    pub(crate) on_error: Option<OnError>,
    /// The highest number of waiters.
    pub(crate) max_waiters: usize,
    pub(crate) request: RequestSettings,
}

impl Settings {
    /// Creates settings with [`FixedWindow`](crate::strategy::FixedWindow) and a cost of 1. Other settings default to
    /// those of the app.
    pub fn new() -> Self {
        Self {
            strategy: AnyStrategy::default(),
            cost: 1,
            backend: None,
            on_error: None,
            max_waiters: Self::DEFAULT_MAX_WAITERS,
            request: RequestSettings::default(),
        }
    }

    /// Sets the strategy.
    pub fn strategy(self, strategy: impl Into<AnyStrategy>) -> Self {
        Self { strategy: strategy.into(), ..self }
    }

    /// Sets the cost of a request. A cost of 0 skips the limit.
    pub fn cost(self, cost: u64) -> Self {
        Self { cost, ..self }
    }

    /// Selects an additional backend by name. [`TraffikBuilder::backend`](crate::TraffikBuilder::backend) registers it.
    ///
    /// ```
    /// use traffik::{DefaultIdentity, MemoryBackend, Rate, Settings, Throttle, Traffik};
    ///
    /// /// A rough limit for each process. It is checked too often to call a server each time.
    /// struct Pings;
    ///
    /// impl Throttle for Pings {
    ///     const UID: &'static str = "api:pings";
    ///     const RATE: Rate = Rate::literal("2/s");
    ///     type Identity = DefaultIdentity;
    ///
    ///     fn settings() -> Settings {
    ///         Settings::new().backend("local")
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let redis = MemoryBackend::new("myapp");
    /// let local = MemoryBackend::new("myapp:local");
    /// let traffik = Traffik::builder(redis).backend("local", local.clone()).register::<Pings>().build()?;
    ///
    /// let _ = traffik.limiter::<Pings>("alice").check().await?;
    /// assert_eq!(local.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Throttles of one decision must share a backend: a tuple of throttles in different backends is a
    /// [`ConfigError::TwoBackends`](crate::ConfigError::TwoBackends). As separate arguments of a handler they are
    /// decided in order. If a later throttle refuses, the layer refunds the charges of the earlier ones.
    pub fn backend(self, name: &'static str) -> Self {
        Self { backend: Some(name), ..self }
    }

    /// Sets what happens when the backend gives no answer. Defaults to the setting of the
    /// [app](crate::TraffikBuilder::on_error). Among throttles of one decision the strictest setting applies: see
    /// [`on_error`](crate::on_error).
    ///
    /// ```
    /// use traffik::{DefaultIdentity, Rate, Settings, Throttle, on_error::Refuse};
    ///
    /// /// Refuses password attempts while the store is away, whatever the app's setting is.
    /// struct Login;
    ///
    /// impl Throttle for Login {
    ///     const UID: &'static str = "auth:login";
    ///     const RATE: Rate = Rate::literal("5/min");
    ///     type Identity = DefaultIdentity;
    ///
    ///     fn settings() -> Settings {
    ///         Settings::new().on_error(Refuse)
    ///     }
    /// }
    /// ```
    pub fn on_error(self, on_error: impl Into<OnError>) -> Self {
        Self { on_error: Some(on_error.into()), ..self }
    }

    /// The default of [`max_waiters`](Self::max_waiters): 1 000.
    pub const DEFAULT_MAX_WAITERS: usize = 1000;

    /// Sets how many callers of this process may [wait](crate::Limiter::wait) for this throttle, for all clients together.
    /// Defaults to 1 000. A caller beyond that number is refused without waiting. With 0 no caller waits.
    ///
    /// ```
    /// use traffik::Settings;
    ///
    /// let settings = Settings::new().max_waiters(50);
    /// ```
    pub fn max_waiters(self, waiters: usize) -> Self {
        Self { max_waiters: waiters, ..self }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
