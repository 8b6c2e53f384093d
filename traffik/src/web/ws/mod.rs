#![doc = include_str!("mod.md")]

mod charge;
mod messages;
mod notification;
pub mod over_limit;
mod rejection;
mod socket;
mod tariff;

pub use self::{
    messages::Messages,
    over_limit::OverLimit,
    rejection::MessageRejection,
    socket::{RecvJsonError, ThrottledSocket},
};
