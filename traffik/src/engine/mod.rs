//! Decisions: checks of throttles go in, limits come out. [`Traffik`] is the handle of an app.

mod builder;
mod check;
mod check_error;
mod client_limiter;
mod conclude;
mod decide;
mod error;
mod events;
pub mod health;
mod in_force;
mod limiter_options;
mod limits;
#[cfg(feature = "file")]
mod limits_file;
#[cfg(feature = "file")]
mod limits_reload;
mod logging;
mod maybe_ready;
mod observing;
mod permit;
mod quota;
mod refusal;
mod request_settings;
mod shared;
mod shared_state;
mod task;
mod traffik;
mod waiting;

#[cfg(feature = "file")]
pub use self::limits_file::LimitsFileStatus;
pub use self::{
    builder::TraffikBuilder,
    check_error::CheckError,
    client_limiter::ClientLimiter,
    error::Error,
    limits::{Adjusting, Limit, Limits, Settlement},
    permit::Permit,
    quota::{Quota, QuotaPart},
    refusal::Refusal,
    traffik::Traffik,
};
pub(crate) use self::{
    check::{Check, Checks, KeptCheck, Own, Resolved},
    decide::{CheckResult, Failed, decide},
    in_force::put_in_force,
    limiter_options::LimiterOptions,
    limits::Change,
    maybe_ready::resolve,
    waiting::{Demand, HeldBack},
};
#[cfg(feature = "ws")]
pub(crate) use self::{in_force::decide_in_force, task::in_a_task};
pub use crate::store::AdjustError;
