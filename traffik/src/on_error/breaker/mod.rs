//! A circuit breaker: stops calling what keeps failing, and tries again later.
//!
//! A [`CircuitBreaker`] stands in front of something that may fail, and decides which calls are made:
//!
//! - [Closed](BreakerState::Closed): every call is made. After [`failure_threshold`](CircuitBreakerBuilder::failure_threshold)
//!   consecutive failures the breaker opens.
//! - [Open](BreakerState::Open): no call is made, so no caller waits for an answer that does not come. After
//!   [`recovery_timeout`](CircuitBreakerBuilder::recovery_timeout) the breaker is half-open.
//! - [Half-open](BreakerState::HalfOpen): [`success_threshold`](CircuitBreakerBuilder::success_threshold) calls are made as
//!   trials, and no others. The breaker closes once all of them succeeded, and opens again when one of them fails.
//!
//! [`on_error::Failover`](crate::on_error::Failover) has a breaker in front of its first backend. A breaker also works alone.
//!
//! The pattern is Michael Nygard's ("Release It!", 2007).

mod circuit_breaker;
mod state;

pub use self::{
    circuit_breaker::{Broken, Changes, CircuitBreaker, CircuitBreakerBuilder},
    state::{Attempt, BreakerState, BreakerStatus},
};
