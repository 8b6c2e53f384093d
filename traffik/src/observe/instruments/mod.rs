//! Metrics. Without the feature `metrics` every instrument is empty and does nothing.
//!
//! An instrument is one series of a [`Metric`](table::Metric). It registers itself when it is first used, so an app may install
//! its recorder after it has built its limits. From then on using it builds no key and looks nothing up.

mod breaker;
mod instrument;
mod limit;
#[cfg(feature = "file")]
mod limits_file;
#[cfg(feature = "ws")]
mod messages;
pub(crate) mod table;

#[cfg(feature = "file")]
pub(crate) use self::limits_file::LimitsFileInstruments;
#[cfg(feature = "ws")]
pub(crate) use self::messages::MessageInstruments;
pub(crate) use self::{
    breaker::BreakerInstruments,
    instrument::{Counter, Gauge, Held, Histogram},
    limit::{ChangeKind, ChangeResult, Decision, LimitInstruments},
};
