#![doc = include_str!("mod.md")]

mod checks;
mod connection;
mod limits;
mod messages;
pub mod over_limit;
mod rejection;
mod socket;

pub use self::{
    messages::Messages,
    over_limit::OverLimit,
    rejection::MessageRejection,
    socket::{RecvJsonError, ThrottledSocket},
};
