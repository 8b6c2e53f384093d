//! Throttles: what is limited, and how.
//!
//! A [`Throttle`] is a type with a unique id and a rate, both checked while compiling, and [`Settings`] for everything else. A
//! limit is shared by using the same type in several places.

mod definition;
mod error;
mod known;
mod queue;
mod request_settings;
mod set;
mod settings;
mod table;
mod throttle;
mod throttle_map;
mod uid;

#[doc(hidden)]
pub use self::table::{DeclaredThrottle, Lookup, SameBackend, ThrottleTable};
pub(crate) use self::{
    definition::Definition,
    known::KnownBy,
    queue::QueueSlot,
    set::{all_the_tuples, register},
};
pub use self::{
    error::ConfigError,
    set::Throttles,
    settings::Settings,
    throttle::{DefaultIdentity, Throttle},
};
