//! How a request meets a throttle: as a handler's argument.

mod identified;
mod inquiry;
mod meeting;
mod throttled;

pub use self::throttled::Throttled;
pub(super) use self::{identified::Identified, throttled::meet};
