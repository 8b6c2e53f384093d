use tracing::Level;

/// How refusals are logged: see [`TraffikBuilder::log_refusals`](crate::TraffikBuilder::log_refusals).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogLevel {
    /// Not at all.
    Off,
    /// At the level `TRACE` of [tracing](https://docs.rs/tracing).
    Trace,
    /// At the level `DEBUG`.
    #[default]
    Debug,
    /// At the level `INFO`.
    Info,
    /// At the level `WARN`.
    Warn,
    /// At the level `ERROR`.
    Error,
}

impl LogLevel {
    /// Returns the level of tracing.
    pub(super) const fn level(self) -> Option<Level> {
        match self {
            Self::Off => None,
            Self::Trace => Some(Level::TRACE),
            Self::Debug => Some(Level::DEBUG),
            Self::Info => Some(Level::INFO),
            Self::Warn => Some(Level::WARN),
            Self::Error => Some(Level::ERROR),
        }
    }
}
