//! `Rule` and `Bypass`: what is written to say when a throttle applies.

use std::fmt;

use axum::http::{Method, request::Parts};

use super::{
    condition::{AsyncPredicate, Condition},
    glob::Glob,
};

/// When a throttle applies: only to requests that match.
///
/// ```
/// use axum::http::Method;
/// use traffik::{DefaultIdentity, Rate, Rule, Settings, Throttle};
///
/// struct Writes;
///
/// impl Throttle for Writes {
///     const UID: &'static str = "api:writes";
///     const RATE: Rate = Rate::literal("20/min");
///     type Identity = DefaultIdentity;
///
///     fn settings() -> Settings {
///         Settings::new().rule(Rule::prefix("/api").and(Rule::methods([Method::POST, Method::PUT])))
///     }
/// }
/// ```
///
/// A throttle may have several rules, and then **all of them have to match**: each that is added makes it apply to less.
/// Where one of several is enough they are one rule, made with [`or`](Self::or).
///
/// Where it is in doubt whether a rule matches, it does, and the throttle applies: no way of writing a path is a way
/// around a limit. See [`path`](Self::path).
#[derive(Clone)]
#[must_use]
pub struct Rule(pub(super) Condition);

/// When a throttle does not apply: requests that match are let past, whatever its rules say.
///
/// ```
/// use traffik::{Bypass, DefaultIdentity, Rate, Settings, Throttle};
///
/// struct Site;
///
/// impl Throttle for Site {
///     const UID: &'static str = "site";
///     const RATE: Rate = Rate::literal("600/min");
///     type Identity = DefaultIdentity;
///
///     fn settings() -> Settings {
///         Settings::new().bypass(Bypass::path("/health")).bypass(Bypass::prefix("/assets"))
///     }
/// }
/// ```
///
/// Of several **one that matches is enough**.
///
/// Where it is in doubt whether a bypass matches, it does not, and the throttle applies. See [`path`](Self::path).
#[derive(Clone)]
#[must_use]
pub struct Bypass(pub(super) Condition);

/// What both are made by. They differ in how they are read where servers differ about a request, and in how a regex matches.
macro_rules! made_of_conditions {
    ($name:ident, whole_regex: $whole_regex:literal) => {
        impl $name {
            /// Matches a path: one that is written out, or has `*` for anything within a segment, and `**` for any number of
            /// segments.
            ///
            /// | pattern | matches | does not match |
            /// |---|---|---|
            /// | `/users` | `/users` | `/users/7`, `/Users` |
            /// | `/users/*` | `/users/7` | `/users`, `/users/7/posts` |
            /// | `/users/**` | `/users`, `/users/7`, `/users/7/posts` | `/usersandmore` |
            /// | `/**/export-*.csv` | `/export-1.csv`, `/a/b/export-2.csv` | `/export-1.csv/x` |
            ///
            /// The path is the one that the client sent, within nested routers too, without its query.
            ///
            /// It is read in every way in which a server may read it: as it came, and decoded, where a decoded slash may
            /// separate or not; without doubled slashes and one at the end; with `.` and `..` followed and not. A [`Rule`]
            /// matches if one of these readings does, so `//api/./us%65rs/` is a request for `/api/users`. A [`Bypass`] matches
            /// only if all of them do, as it came with every slash, so neither `/assets/..%2Fapi` nor `/assets/../api` is a
            /// request for something below `/assets`.
            ///
            /// A pattern that cannot be read is a [`ConfigError::Rule`](crate::ConfigError::Rule) when the app is built.
            pub fn path(pattern: &str) -> Self {
                Self(Condition::path(pattern, Glob::new(pattern)))
            }

            /// Matches a path and all below it: `/api` is `/api/**`, and does not match `/apis`.
            pub fn prefix(prefix: &str) -> Self {
                Self(Condition::path(prefix, Glob::below(prefix)))
            }

            /// Matches a path by a regex. For a [`Rule`] it has to be found in the path: for one that is to match from end to
            /// end write `^` and `$`. For a [`Bypass`] it has to match from end to end, since a client can add what it likes to
            /// a path in which it is merely found.
            ///
            /// Requires the feature `regex`. The path is read in the same ways as for [`path`](Self::path), and all in the regex
            /// is compared with all of these. Matching takes time in proportion to the length of the path, whatever the two are
            /// (see the crate `regex`).
            ///
            /// A regex that cannot be read is a [`ConfigError::Rule`](crate::ConfigError::Rule) when the app is built.
            #[cfg(feature = "regex")]
            pub fn regex(regex: &str) -> Self {
                Self(Condition::regex(regex, $whole_regex))
            }

            /// Matches a request with one of these methods.
            ///
            /// For a [`Rule`] HEAD goes with GET, since a handler of GET answers it. For a [`Bypass`] it is a method of its own.
            pub fn methods(methods: impl IntoIterator<Item = Method>) -> Self {
                Self(Condition::methods(methods))
            }

            /// Matches the handshake of a WebSocket: an upgrade over HTTP/1.1, or an extended CONNECT over HTTP/2, which
            /// requires the feature `http2`.
            ///
            /// A handshake whose fields are not all there is in doubt. It matches both this and [`http`](Self::http) of a
            /// [`Rule`], and neither of a [`Bypass`].
            pub fn websocket() -> Self {
                Self(Condition::OpensWebSocket(true))
            }

            /// Matches any request that is no [handshake of a WebSocket](Self::websocket).
            ///
            /// A client says by its header fields which of the two a request is, so a limit for the one goes with a limit for
            /// the other: what a handler takes for a plain request gets past a limit for plain requests alone, if it has the
            /// fields of a handshake.
            pub fn http() -> Self {
                Self(Condition::OpensWebSocket(false))
            }

            /// Matches where a function of the request says so. It may be called more than once for a request, and sees the
            /// URI as it is where the throttle is, not as the other conditions read it.
            pub fn when(predicate: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
                Self(Condition::when(predicate))
            }

            /// Matches where an async function of the request says so. It is asked last, and only if all else leaves it open
            /// whether the throttle applies.
            ///
            /// ```
            /// use axum::http::request::Parts;
            /// use traffik::{Bypass, Settings};
            ///
            /// async fn of_a_partner(parts: &Parts) -> bool {
            ///     match parts.headers.get("x-partner") {
            ///         Some(name) => is_partner(name.as_bytes()).await,
            ///         None => false,
            ///     }
            /// }
            ///
            /// let settings = Settings::new().bypass(Bypass::async_when(of_a_partner));
            /// # async fn is_partner(_: &[u8]) -> bool { true }
            /// ```
            pub fn async_when(predicate: impl for<'a> AsyncPredicate<'a> + 'static) -> Self {
                Self(Condition::async_when(predicate))
            }

            /// Matches where both do. The cheaper one is asked first, whichever is written first.
            pub fn and(self, other: Self) -> Self {
                Self(self.0.and_or(other.0, false))
            }

            /// Matches where one of them does, or both. The cheaper one is asked first, whichever is written first.
            pub fn or(self, other: Self) -> Self {
                Self(self.0.and_or(other.0, true))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }
    };
}

made_of_conditions!(Rule, whole_regex: false);
made_of_conditions!(Bypass, whole_regex: true);
