//! How a request meets a throttle: as a handler's argument.

mod meeting;
mod throttled;

pub use self::throttled::Throttled;
