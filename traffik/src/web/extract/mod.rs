//! How a request meets a throttle: as a handler's argument.

mod answers;
mod hold;
mod identified;
mod inquiry;
mod meeting;
mod throttled;

#[cfg(feature = "ws")]
pub(super) use self::meeting::Meeting;
pub use self::throttled::Throttled;
pub(super) use self::{identified::Identified, throttled::meet};
