//! Throttles: the limits, and their settings.
//!
//! A [`Throttle`] is a type with a uid and a rate, both checked at compile time, and [`Settings`] for everything else.
//! To share a limit, use the same type in several places.

mod by_uid;
pub(crate) mod changes;
#[cfg(any(feature = "aide", feature = "utoipa"))]
mod declaration;
mod definition;
mod error;
#[cfg(feature = "file")]
pub(crate) mod file;
mod known;
mod limit_backend;
mod limit_map;
#[cfg(feature = "file")]
mod limits_file_error;
mod lineage;
mod penalty;
mod queue;
mod request_settings;
mod set;
mod settings;
mod share;
#[cfg(feature = "file")]
mod start_settings;
mod table;
mod throttle;
mod throttle_map;
#[cfg(any(feature = "admin", feature = "file"))]
pub(crate) mod time_texts;
mod uid;
mod waiters;
#[cfg(any(feature = "admin", feature = "file"))]
pub(crate) mod written;

#[cfg(any(feature = "aide", feature = "utoipa"))]
pub(crate) use self::declaration::Declaration;
#[cfg(feature = "file")]
pub use self::limits_file_error::LimitsFileError;
#[cfg(feature = "file")]
pub(crate) use self::limits_file_error::Place;
#[doc(hidden)]
pub use self::table::{DeclaredThrottle, Lookup, SameBackend, ThrottleTable};
pub use self::{
    by_uid::ByUid,
    error::ConfigError,
    known::KnownBy,
    set::Throttles,
    settings::Settings,
    throttle::{DefaultIdentity, Throttle},
};
pub(crate) use self::{
    definition::{Definition, NewLimit},
    limit_backend::{BackendIndex, LimitBackend},
    penalty::Penalties,
    queue::QueueSlot,
    set::{all_the_tuples, assert_types, register},
    waiters::WaiterSlot,
};
