use traffik_core::strategy::AnyStrategy;

use crate::{on_error::OnError, request::RequestSettings};

/// Everything about a throttle but its uid and its rate.
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
    /// The name of its backend, if that is not the app's own.
    pub(crate) backend: Option<&'static str>,
    /// What is done when that gives no answer, if not what the app does.
    pub(crate) on_error: Option<OnError>,
    pub(crate) request: RequestSettings,
}

impl Settings {
    /// [`FixedWindow`](crate::strategy::FixedWindow), a cost of 1, and for the rest what the app says.
    pub fn new() -> Self {
        Self {
            strategy: AnyStrategy::default(),
            cost: 1,
            backend: None,
            on_error: None,
            request: RequestSettings::default(),
        }
    }

    /// Decides by this algorithm.
    pub fn strategy(self, strategy: impl Into<AnyStrategy>) -> Self {
        Self { strategy: strategy.into(), ..self }
    }

    /// Takes this much of the limit for each request. At 0 the limit is not asked at all.
    pub fn cost(self, cost: u64) -> Self {
        Self { cost, ..self }
    }

    /// Keeps the limit in another backend than the app's own: the one that
    /// [`TraffikBuilder::backend`](crate::TraffikBuilder::backend) gives this name.
    ///
    /// ```
    /// use traffik::{DefaultIdentity, MemoryBackend, Rate, Settings, Throttle, Traffik};
    ///
    /// /// A rough limit, for each process alone: it is met too often to ask a server each time.
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
    /// Limits of one decision are kept in one backend: a tuple of throttles in different ones is a
    /// [`ConfigError::TwoBackends`](crate::ConfigError::TwoBackends). As separate arguments of a handler they are decided in
    /// order, and where a later one refuses the layer gives back what the earlier ones were charged.
    pub fn backend(self, name: &'static str) -> Self {
        Self { backend: Some(name), ..self }
    }

    /// Does this when the backend gives no answer, rather than what the [app](crate::TraffikBuilder::on_error) does. Of
    /// throttles that are one decision the strictest holds: see [`on_error`](crate::on_error).
    ///
    /// ```
    /// use traffik::{DefaultIdentity, Rate, Settings, Throttle, on_error::Refuse};
    ///
    /// /// Nobody may guess passwords while the store is away, whatever the app allows otherwise.
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
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
