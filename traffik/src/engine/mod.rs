//! Decisions: checks of throttles go in, limits come out. [`Traffik`] is the handle of an app.

mod builder;
mod charge;
mod check;
mod conclude;
mod decide;
mod error;
mod inquiry;
mod limits;
mod maybe_ready;
mod request_settings;
mod task;
mod traffik;

pub use self::{
    builder::TraffikBuilder,
    charge::Charge,
    error::Error,
    inquiry::Inquiry,
    limits::{Limit, Limits},
    traffik::Traffik,
};
#[cfg(feature = "ws")]
pub(crate) use self::{check::KeptCheck, task::in_a_task};
pub(crate) use self::{
    check::{Check, Checks, Resolved},
    decide::{CheckResult, Failed, decide},
    maybe_ready::resolve,
};
