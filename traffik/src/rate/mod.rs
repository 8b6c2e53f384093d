//! How much over how long: [`Rate`], and the one grammar it is written in.
//!
//! ```text
//! rate   = limit ("/" | "per") period | "0/0"
//! period = unit | (number unit)+
//! ```
//!
//! | written | means |
//! |---|---|
//! | `100/minute`, `100/min`, `100 per minute` | 100 a minute |
//! | `5/10seconds`, `20 per 2 mins`, `1000/500ms` | a number of units |
//! | `100/5m30s`, `100 per 1h 30m` | several units, each at most once, in any order |
//! | `0/0` | unlimited |
//!
//! Upper and lower case are the same, and spaces may stand anywhere but within a number or a word. These are the units:
//!
//! | unit | spellings |
//! |---|---|
//! | week | `w` `wk` `wks` `week` `weeks` |
//! | day | `d` `day` `days` |
//! | hour | `h` `hr` `hrs` `hour` `hours` |
//! | minute | `m` `min` `mins` `minute` `minutes` |
//! | second | `s` `sec` `secs` `second` `seconds` |
//! | millisecond | `ms` `msec` `msecs` `millis` `millisecond` `milliseconds` |
//! | microsecond | `us` `usec` `usecs` `micros` `microsecond` `microseconds` |
//!
//! Months and years have no fixed length, and are none.

mod display;
mod error;
mod grammar;
#[cfg(feature = "serde")]
mod serde;
mod units;
mod value;

pub use self::{
    error::{RateError, RateErrorKind},
    value::Rate,
};
