//! Log lines at a bounded rate.

mod log_throttle;

pub(crate) use self::log_throttle::LogThrottle;
