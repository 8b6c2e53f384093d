//! Decisions: checks of throttles go in, limits come out. [`Traffik`] is the handle of an app.

mod builder;
mod check;
mod client_limiter;
mod decide;
mod error;
mod events;
pub mod health;
mod limits;
#[cfg(feature = "file")]
mod limits_file;
#[cfg(feature = "file")]
mod limits_reload;
mod observing;
mod permit;
mod quota;
mod request_settings;
mod shared;
mod shared_state;
mod traffik;
mod waiting;

#[cfg(feature = "ws")]
pub(crate) use self::decide::decide_in_force;
#[cfg(feature = "file")]
pub use self::limits_file::LimitsFileStatus;
pub use self::{
    builder::TraffikBuilder,
    client_limiter::ClientLimiter,
    error::{CheckError, Error, Refusal},
    limits::{Adjusting, Limit, Limits, Settlement},
    permit::Permit,
    quota::{Quota, QuotaPart},
    traffik::Traffik,
};
pub(crate) use self::{
    check::{Check, Checks, KeptCheck, LimiterOptions, Own, Resolved},
    decide::{CheckResult, Failed, decide, in_a_task, put_in_force, resolve},
    limits::Change,
    waiting::{Demand, HeldBack},
};
pub use crate::store::AdjustError;
