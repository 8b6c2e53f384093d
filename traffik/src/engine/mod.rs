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
mod limiter_options;
mod limits;
mod logging;
mod maybe_ready;
mod observing;
mod permit;
mod quota;
mod refusal;
mod request_settings;
mod task;
mod traffik;
mod waiting;

#[cfg(feature = "ws")]
pub(crate) use self::task::in_a_task;
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
    check::{Check, Checks, KeptCheck, Resolved},
    decide::{CheckResult, Failed, decide},
    limiter_options::LimiterOptions,
    limits::Change,
    maybe_ready::resolve,
    waiting::{Demand, HeldBack},
};
pub use crate::store::AdjustError;
