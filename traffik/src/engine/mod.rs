//! The app's handle: its backends, and the defaults of every throttle.

mod ask;
mod builder;
mod charge;
mod error;
mod inquiry;
mod limits;
mod started;
mod task;
mod traffik;

#[cfg(feature = "ws")]
pub(crate) use self::task::in_a_task;
pub(crate) use self::{
    ask::Asked,
    limits::Judge,
    started::{Started, Waiting},
};
pub use self::{
    builder::TraffikBuilder,
    charge::Charge,
    error::Error,
    inquiry::Inquiry,
    limits::{Limit, Limits},
    traffik::Traffik,
};

/// As many hits are kept without an allocation.
pub(crate) const INLINE: usize = 4;
