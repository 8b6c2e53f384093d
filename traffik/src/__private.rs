//! What the expansions of the macros name. It is no part of the API, and changes as they do.

pub use inventory;

pub use crate::limit::{DeclaredThrottle, Lookup, SameBackend};
use crate::limit::{Settings, Throttle, ThrottleTable};
pub use crate::web::Throttled as Permit;

/// Finds `T` in the list of an app. Compiles for throttles only.
#[must_use]
pub const fn throttle<T: Throttle>() -> Lookup {
    ThrottleTable::find_defined::<T>
}

/// Lets a closure be written without the type of its argument.
pub fn change(settings: Settings, change: impl FnOnce(Settings) -> Settings) -> Settings {
    change(settings)
}
