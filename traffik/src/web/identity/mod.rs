//! Ready identities: everyone, a header, an API key, a bearer token, a cookie, or an extension of the request.
//!
//! Each has two forms: a function for [`Settings::identity`](crate::Settings::identity), for
//! [`TraffikBuilder::identity`](crate::TraffikBuilder::identity) and for the macros' option `identity`, and a type for
//! [`Throttle::Identity`](crate::Throttle::Identity).
//!
//! | client | function | type | missing |
//! |---|---|---|---|
//! | all of them, as one | [`everyone()`] | [`Everyone`] | |
//! | by a header | [`by_header`] | [`ByHeader`] | 400 |
//! | by an API key in a header | [`by_api_key`] | [`ByApiKey`] | 401 |
//! | by the token in `Authorization: Bearer ..` | [`by_bearer_token`] | [`ByBearerToken`] | 401 |
//! | by a cookie | [`by_cookie`] | [`ByCookie`] | 401 |
//! | by what a middleware put into the request | [`by_extension`] | [`ByExtension`] | 500, because no middleware did |
//!
//! API keys, tokens and cookies are [secret](crate::Client::secret): they appear in no log, header or metric, and leave the
//! process only as digests. A request without the header or the credentials gets problem details that name what is missing:
//! see [`IdentityRejection`].
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```text")]
//! use traffik::{Throttle, identity::{ByBearerToken, Everyone, by_cookie, by_extension, by_header}, throttled};
//!
//! #[throttled("search:service", "10000/min", identity = Everyone)]
//! #[throttled("search:tenant", "600/min", identity = by_header("x-tenant-id"))]
//! #[throttled("search:session", "60/min", identity = by_cookie("session"))]
//! async fn search() {}
//!
//! /// Inserted by the middleware that authenticates the request.
//! #[derive(Clone)]
//! struct User {
//!     id: u64,
//! }
//!
//! #[throttled("orders", "500/hour", identity = by_extension(|user: &User| ("user", user.id)))]
//! async fn order() {}
//!
//! #[derive(Throttle)]
//! #[limit("api:token", "1000/min", identity = ByBearerToken)]
//! struct Api;
//! ```
//!
//! # What a client can choose
//!
//! A client that makes up a header, a token or a cookie for each request has a new limit each time. Use these identities where
//! something in front of the throttle verifies the value: a gateway that sets the header, a middleware that rejects unknown
//! tokens. Otherwise add a limit by address, in the same tuple or on the same handler.

mod everyone;
mod extension;
mod headers;
mod rejection;

pub use self::{
    everyone::{Everyone, everyone},
    extension::{ByExtension, by_extension},
    headers::{ByApiKey, ByBearerToken, ByCookie, ByHeader, Named, by_api_key, by_bearer_token, by_cookie, by_header},
    rejection::IdentityRejection,
};
