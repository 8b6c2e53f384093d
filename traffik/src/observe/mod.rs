//! What an operator sees of a running app.

mod log_throttle;

pub(crate) use self::log_throttle::LogThrottle;
