//! Uploads that are refused.
//!
//! A server that answers a request whose body it has not read closes the connection. What the client has sent by then
//! and nobody read makes that a reset, at which most clients throw away what they have not read themselves: the 429. So
//! what is left of the body is read, up to a bound, while the response goes out.
//!
//! - An extractor does not get hold of the body. The outermost [`TraffikLayer`](super::TraffikLayer) gives the request a
//!   [`Kept`](kept::Kept) one, which hands on what is unread when it is dropped, and [`Watch`] drains that if the response is a
//!   refusal. Requests without a body, and those of HTTP/2, which resets a stream and not a connection, are let be.
//! - The frames are dropped as they come, by a task of their own that the bounds end: see `Drain`.
//! - A client that waits for `100 Continue` is not asked for the body.

mod kept;
mod watch;

pub(super) use self::watch::{Watch, drain_in_hand};
