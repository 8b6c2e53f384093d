//! `Rule` and `Bypass`: the conditions under which a throttle applies.

use std::{fmt, sync::Arc};

use axum::http::{Method, request::Parts};
use traffik_core::backend::MaybeReady;

use super::{
    condition::{AsyncPredicate, Condition, RuleError, RuleInput, settled_by},
    glob::Glob,
};
use crate::request::client_ip::ClientAddress;

/// A condition for a throttle: it applies only to requests that match.
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
/// A throttle may have several rules. A request must match **all of them**, so each rule narrows the throttle. To
/// require only one of several conditions, combine them with [`or`](Self::or).
///
/// If it is unclear whether a rule matches, it matches, and the throttle applies. So no spelling of a path bypasses a
/// limit. See [`path`](Self::path).
#[derive(Clone)]
#[must_use]
pub struct Rule(pub(super) Condition);

/// A condition for a throttle: it does not apply to requests that match, whatever the rules are.
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
/// Of several bypasses, **one that matches is enough**.
///
/// If it is unclear whether a bypass matches, it does not match, and the throttle applies. See [`path`](Self::path).
#[derive(Clone)]
#[must_use]
pub struct Bypass(pub(super) Condition);

/// Defines the constructors of both. They differ in how they treat unclear requests, and in how a regex matches.
macro_rules! made_of_conditions {
    ($name:ident, whole_regex: $whole_regex:literal, no_networks: $no_networks:literal) => {
        impl $name {
            /// Matches a path. `*` stands for anything within a segment, `**` for any number of segments.
            ///
            /// | pattern | matches | does not match |
            /// |---|---|---|
            /// | `/users` | `/users` | `/users/7`, `/Users` |
            /// | `/users/*` | `/users/7` | `/users`, `/users/7/posts` |
            /// | `/users/**` | `/users`, `/users/7`, `/users/7/posts` | `/usersandmore` |
            /// | `/**/export-*.csv` | `/export-1.csv`, `/a/b/export-2.csv` | `/export-1.csv/x` |
            ///
            /// The path is the one that the client sent, without its query, also within nested routers.
            ///
            /// The path is read in every way in which a server may read it: raw, and decoded, where a decoded slash may
            /// separate or not; without doubled slashes and a slash at the end; with `.` and `..` followed and not. A
            /// [`Rule`] matches if one of these readings does, so `//api/./us%65rs/` is a request for `/api/users`. A
            /// [`Bypass`] matches only if all of them do, with every slash as sent, so neither `/assets/..%2Fapi` nor
            /// `/assets/../api` is a request for something below `/assets`.
            ///
            /// An invalid pattern is a [`ConfigError::Rule`](crate::ConfigError::Rule) when the app is built.
            pub fn path(pattern: &str) -> Self {
                Self(Condition::path(pattern, Glob::new(pattern)))
            }

            /// Matches a path and all paths below it: `/api` is `/api` and `/api/**`, and does not match `/apis`.
            pub fn prefix(prefix: &str) -> Self {
                Self(Condition::path(prefix, Glob::below(prefix)))
            }

            /// Matches a path by a regex. A [`Rule`] matches if the regex is found anywhere in the path: write `^` and
            /// `$` to match the whole path. A [`Bypass`] must match the whole path, because a client can add anything
            /// to a path.
            ///
            /// Requires the feature `regex`. The path is read in the same ways as for [`path`](Self::path), and the
            /// regex is compared with all of them. Matching takes time in proportion to the length of the path.
            ///
            /// An invalid regex is a [`ConfigError::Rule`](crate::ConfigError::Rule) when the app is built.
            #[cfg(feature = "regex")]
            pub fn regex(regex: &str) -> Self {
                Self(Condition::regex(regex, $whole_regex))
            }

            /// Matches a request with one of these methods.
            ///
            /// For a [`Rule`], GET includes HEAD, because a handler of GET answers it. For a [`Bypass`], HEAD is a
            /// method of its own.
            pub fn methods(methods: impl IntoIterator<Item = Method>) -> Self {
                Self(Condition::methods(methods))
            }

            /// Matches the handshake of a WebSocket: an upgrade over HTTP/1.1, or an extended CONNECT over HTTP/2, which
            /// requires the feature `http2`.
            ///
            /// If fields of the handshake are missing, the result is unclear: the request matches both this and
            /// [`http`](Self::http) of a [`Rule`], and neither of a [`Bypass`].
            pub fn websocket() -> Self {
                Self(Condition::OpensWebSocket(true))
            }

            /// Matches any request that is not a [handshake of a WebSocket](Self::websocket).
            ///
            /// The client chooses the header fields that distinguish the two. So limit both: a request that a handler
            /// treats as plain bypasses a limit for plain requests alone, if it has the fields of a handshake.
            pub fn http() -> Self {
                Self(Condition::OpensWebSocket(false))
            }

            /// Matches a client in one of these networks, which are written as `192.0.2.7`, `10.0.0.0/8` or `2001:db8::/32`.
            ///
            /// ```
            /// use traffik::{Bypass, Rule, Settings};
            ///
            /// // The office is not limited. Clients of a hosting provider have a limit of their own.
            /// let own = Settings::new().bypass(Bypass::networks(["192.0.2.0/24", "2001:db8:1::/48"]));
            /// let hosted = Settings::new().rule(Rule::networks(["198.51.100.0/24"]));
            /// ```
            ///
            /// The client is the one at the address that the throttle counts by default: the peer, or the address
            /// behind the proxies of the app or of [the throttle](crate::Settings::client_ip). A long list takes a
            /// binary search.
            ///
            /// If the address is not known, the result is unclear: a [`Rule`] matches, and a [`Bypass`] does not. A
            /// [`Rule`] also matches an IPv6 address that [embeds](crate::Client::by_ipv6_network) an IPv4 address of
            /// these networks; a [`Bypass`] does not.
            ///
            /// An item that is neither an address nor a network is a [`ConfigError::Rule`](crate::ConfigError::Rule)
            /// when the app is built. So is an empty list in a [`Rule`].
            pub fn networks(networks: impl IntoIterator<Item: fmt::Display>) -> Self {
                Self(Condition::networks(networks, $no_networks))
            }

            /// Matches if a function of the request returns `true`. The function may run more than once for a request.
            /// It sees the URI at the position of the throttle, not the readings of the other conditions.
            pub fn when(predicate: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
                Self(Condition::When(Arc::new(predicate)))
            }

            /// Matches if an async function of the request returns `true`. It runs last, and only if the other
            /// conditions do not decide whether the throttle applies.
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
                Self(Condition::AsyncWhen(Arc::new(move |parts| MaybeReady::pending(predicate.holds(parts)))))
            }

            /// Matches if both do. The cheaper condition is evaluated first, in either order.
            pub fn and(self, other: Self) -> Self {
                Self(self.0.and_or(other.0, false))
            }

            /// Matches if at least one does. The cheaper condition is evaluated first, in either order.
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

made_of_conditions!(Rule, whole_regex: false, no_networks: false);
made_of_conditions!(Bypass, whole_regex: true, no_networks: true);

/// The requests that a throttle applies to: rules expect their condition to be true, bypasses to be false. Cheap ones
/// are first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applies(Vec<(bool, Condition)>);

impl Applies {
    pub(crate) fn add_rule(&mut self, Rule(rule): Rule) {
        self.add([(true, rule)]);
    }

    pub(crate) fn add_bypass(&mut self, Bypass(bypass): Bypass) {
        self.add([(false, bypass)]);
    }

    /// Adds all of `others`.
    pub(crate) fn add_all(&mut self, others: &Self) {
        self.add(others.0.iter().cloned());
    }

    fn add(&mut self, conditions: impl IntoIterator<Item = (bool, Condition)>) {
        self.0.extend(conditions);
        self.0.sort_by_key(|(_, condition)| condition.effort());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks whether the throttle applies to a request. Async functions are called only if the other rules do not
    /// decide, and only once the result is awaited.
    #[inline]
    pub(crate) fn to<'a>(&'a self, parts: &'a Parts, by: impl FnOnce() -> ClientAddress<'a>) -> MaybeReady<'a, bool> {
        if self.0.is_empty() { MaybeReady::Ready(true) } else { self.by_input(&RuleInput::new(parts, by())) }
    }

    fn by_input<'a>(&'a self, input: &RuleInput<'a>) -> MaybeReady<'a, bool> {
        settled_by(false, self.0.iter().map(|(expected, condition)| condition.may_be(*expected, input)))
    }

    /// Returns an error for an invalid rule, and for rules that no request matches.
    pub(crate) fn check(&self) -> Result<(), RuleError> {
        if let Some(error) = self.0.iter().find_map(|(_, condition)| condition.error()) {
            return Err(error.clone());
        }
        let rules = self.0.iter().filter(|(expected, _)| *expected);
        let mut before: Vec<&Condition> = Vec::new();
        for condition in rules.flat_map(|(_, rule)| rule.necessary()) {
            if let Some(other) = before.iter().find(|other| other.excludes(condition)) {
                return Err(RuleError::NeverBoth { one: format!("{other:?}"), other: format!("{condition:?}") });
            }
            before.push(condition);
        }
        Ok(())
    }
}

/// The rules that an app adds to throttles.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByUid(Vec<(Box<str>, Applies)>);

impl ByUid {
    pub(crate) fn add_rule(&mut self, uid: &str, rule: Rule) {
        let mut added = Applies::default();
        added.add_rule(rule);
        self.0.push((uid.into(), added));
    }

    pub(crate) fn add_bypass(&mut self, uid: &str, bypass: Bypass) {
        let mut added = Applies::default();
        added.add_bypass(bypass);
        self.0.push((uid.into(), added));
    }

    /// Adds the rules for `uid` to its throttle.
    pub(crate) fn add_to(&self, uid: &str, applies: &mut Applies) {
        self.0.iter().filter(|(to, _)| **to == *uid).for_each(|(_, added)| applies.add_all(added));
    }

    /// Returns the uids that rules are added to.
    pub(crate) fn uids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(uid, _)| &**uid)
    }
}
