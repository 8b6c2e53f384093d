//! What happens to a request when a backend does not answer.
//!
//! [`TraffikBuilder::on_error`](crate::TraffikBuilder::on_error) sets it for the app, and
//! [`Settings::on_error`](crate::Settings::on_error) for one throttle, which takes precedence. It is one of these:
//!
//! | | |
//! |---|---|
//! | [`Allow`] | admits the request without counting it |
//! | a function | decides in your code: see [`OnError`] |
//! | [`Fallback`] | asks another backend |
//! | [`Failover`] | asks another backend, and stops asking the first once it failed too often |
//! | [`Retry`] | asks the backend again if the call did not run, and then refuses |
//! | [`Refuse`] | responds with a 503 of the type `temporary-reduced-capacity`. This is the default |
//! | [`Raise`] | responds with a 500, and keeps the error for your middleware |
//!
//! The table goes from the least strict to the strictest. If several throttles are one decision, the strictest of them
//! applies to all. Of two that are equally strict, the first applies.
//!
//! # How long a request waits
//!
//! A request waits at most [`backend_timeout`](crate::TraffikBuilder::backend_timeout) for its decision. With a fallback or a
//! function, the backend and its retries have three quarters of that time. The fallback or the function has the rest. A
//! fallback in memory needs none of it.
//!
//! A client that the fallback refused stays refused until its wait has ended. The fallback is asked about such a client
//! first, and has a quarter of the time for that.
//!
//! # What an app sees
//!
//! [`Limit::is_from_fallback`](crate::Limit::is_from_fallback) and [`Limit::is_unchecked`](crate::Limit::is_unchecked)
//! return how a request was admitted. The start and the end of each outage are logged, and each opening and closing of a
//! breaker.
//!
//! # What is charged
//!
//! A call that timed out may still run in the first backend, and is charged there. A refund goes to the backend that
//! charged. Once an app is [closed](crate::Traffik::close), every request is refused with a 503, whatever is set here.
//!
//! # Dry runs
//!
//! A throttle in a [dry run](crate::Settings::dry_run) rejects no request, whatever is set here, and its setting does not count
//! where other throttles are part of the decision. Its fallback decides as always. Without one, the request passes.

pub mod breaker;
mod decide;
mod fallback_backend;
mod options;
mod policy;
mod retry;

pub(crate) use self::{
    decide::{Decided, DecidedBy, PolicyHits, Probe, Started, Undecided},
    fallback_backend::FallbackBackend,
    policy::{ErrorPolicy, Policies},
    retry::chance,
};
pub use self::{
    options::{Allow, Failover, Failure, Fallback, OnError, Raise, Refuse, Resolution},
    policy::Deciding,
    retry::{Backoff, Retry},
};
