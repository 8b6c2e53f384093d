//! What the expansions of the macros name. It is no part of the API, and changes as they do.

pub use inventory;

pub use crate::throttle::Declared;
#[cfg(feature = "axum")]
pub use crate::web::Throttled as Permit;
use crate::{Settings, Throttle};

/// Compiles for throttles only.
pub const fn is_throttle<T: Throttle>() {}

/// Lets a closure be written without the type of its argument.
pub fn change(settings: Settings, change: impl FnOnce(Settings) -> Settings) -> Settings {
    change(settings)
}
