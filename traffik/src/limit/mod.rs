//! Throttles: the limits, and their settings.
//!
//! A [`Throttle`] is a type with a uid and a rate, both checked at compile time, and [`Settings`] for everything else.
//! To share a limit, use the same type in several places.

pub(crate) mod changes;
mod definition;
mod error;
#[cfg(feature = "file")]
pub(crate) mod file;
mod known;
#[cfg(feature = "file")]
mod limits_file_error;
mod penalty;
mod queue;
mod request_settings;
mod set;
mod settings;
#[cfg(feature = "file")]
mod start_settings;
mod table;
mod throttle;
#[cfg(any(feature = "admin", feature = "file"))]
pub(crate) mod written;

#[cfg(feature = "file")]
pub use self::limits_file_error::LimitsFileError;
#[cfg(feature = "file")]
pub(crate) use self::limits_file_error::Place;
#[cfg(any(feature = "aide", feature = "utoipa"))]
pub(crate) use self::set::Declaration;
#[doc(hidden)]
pub use self::table::{DeclaredThrottle, Lookup, SameBackend, ThrottleTable};
pub(crate) use self::{
    definition::{BackendIndex, Definition, LimitBackend, NewLimit},
    penalty::Penalties,
    queue::{QueueSlot, WaiterSlot},
    set::{all_the_tuples, assert_types, register},
};
pub use self::{
    error::ConfigError,
    known::KnownBy,
    set::Throttles,
    settings::Settings,
    throttle::{ByUid, DefaultIdentity, Throttle},
};
