//! [`Rate`]: a limit over a period, and the grammar of its text.
//!
//! ```text
//! rate   = number ( "/" | "per" ) period
//! period = unit | ( number unit )+ | "0"
//! number = digit ( "_"? digit )*
//! ```
//!
//! | text | meaning |
//! |---|---|
//! | `100/minute`, `100/min`, `100 per minute` | 100 per minute |
//! | `5/10seconds`, `20 per 2 mins`, `1000/500ms` | a period of several units |
//! | `100/5m30s`, `100 per 1h 30m` | the sum of different units, each with a number, in any order |
//! | `10_000/min` | underscores may group the digits of a number |
//! | `0/0` | unlimited; no other rate has a period of zero |
//!
//! Letters may be upper or lower case. ASCII white space may stand anywhere except within a number or a word. The units are:
//!
//! | unit | names |
//! |---|---|
//! | week | `w` `wk` `wks` `week` `weeks` |
//! | day | `d` `day` `days` |
//! | hour | `h` `hr` `hrs` `hour` `hours` |
//! | minute | `m` `min` `mins` `minute` `minutes` |
//! | second | `s` `sec` `secs` `second` `seconds` |
//! | millisecond | `ms` `msec` `msecs` `millis` `millisecond` `milliseconds` |
//! | microsecond | `us` `usec` `usecs` `micros` `microsecond` `microseconds` |
//!
//! Months and years are errors, since they have no fixed length. Numbers are whole: write `3/2s` instead of `1.5/s`.

mod error;
mod grammar;
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
