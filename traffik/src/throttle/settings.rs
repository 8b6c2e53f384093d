use crate::strategy::AnyStrategy;
#[cfg(feature = "axum")]
use crate::web::WebSettings;

/// Everything about a throttle but its uid and its rate.
///
/// ```
/// use traffik::{Settings, strategy::SlidingWindowCounter};
///
/// let settings = Settings::new().strategy(SlidingWindowCounter).cost(5);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    pub(crate) strategy: AnyStrategy,
    pub(crate) cost: u64,
    #[cfg(feature = "axum")]
    pub(crate) web: WebSettings,
}

impl Settings {
    /// [`FixedWindow`](crate::strategy::FixedWindow), a cost of 1, and for the rest what the app says.
    pub fn new() -> Self {
        Self {
            strategy: AnyStrategy::default(),
            cost: 1,
            #[cfg(feature = "axum")]
            web: WebSettings::default(),
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
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
