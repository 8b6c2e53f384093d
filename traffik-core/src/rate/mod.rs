//! How much over how long: [`Rate`], and the one grammar it is written in.
//!
//! ```text
//! rate   = number ( "/" | "per" ) period
//! period = unit | ( number unit )+ | "0"
//! number = digit ( "_"? digit )*
//! ```
//!
//! | written | means |
//! |---|---|
//! | `100/minute`, `100/min`, `100 per minute` | 100 a minute |
//! | `5/10seconds`, `20 per 2 mins`, `1000/500ms` | a number of units |
//! | `100/5m30s`, `100 per 1h 30m` | the sum of several units: each at most once, each with its number, in any order |
//! | `10_000/min` | underscores may group the digits of a number |
//! | `0/0` | unlimited: no limit over no time, and the only use of a zero period |
//!
//! Upper and lower case are the same, and ASCII white space may stand anywhere but within a number or a word. These are
//! the units:
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
//! Months and years have no fixed length, and are none. Numbers are whole: `1.5/s` is written `3/2s`.

mod display;
mod error;
mod grammar;
#[cfg(test)]
mod random;
#[cfg(feature = "serde")]
mod serde;
mod text;
mod tokens;
mod units;
mod value;

pub use self::{
    error::{RateError, RateErrorKind},
    value::Rate,
};
