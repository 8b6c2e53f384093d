//! Bodies of refused requests.
//!
//! A server that responds before it has read the body closes the connection. Unread data in its buffer then causes a
//! reset, and most clients discard the response that they have not read yet: the 429. So the body is read up to a bound
//! while the response is sent.
//!
//! - A request with a body over HTTP/1.1 gets a [`Kept`](kept::Kept) body from the outermost
//!   [`TraffikLayer`](super::TraffikLayer). When it is dropped, it passes on what is unread, and [`Watch`] drains that
//!   if the response is a refusal. Other requests are left as they are: HTTP/2 resets a stream, and not the connection.
//! - A task reads and drops the frames, up to the bounds: see `Drain`.
//! - A refused request whose client waits for `100 Continue` is not drained, and the client sends no body.

mod kept;
mod watch;

pub(super) use self::watch::{Watch, drain_unread};
