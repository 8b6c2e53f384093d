//! Conditions of a request, with a third result for unclear requests.

use std::{cell::OnceCell, fmt, net::IpAddr, sync::Arc};

use axum::{
    extract::OriginalUri,
    http::{Method, request::Parts},
};
use thiserror::Error;
use traffik_core::backend::MaybeReady;

use super::{forms::PathForms, glob::Glob, handshake::opens_websocket};
use crate::request::client_ip::{ClientAddress, NetworkError, Networks};

/// An async function of the request's parts that returns a `bool`: `async fn(&Parts) -> bool`.
pub trait AsyncPredicate<'a>: Send + Sync {
    /// The future.
    type Future: Future<Output = bool> + Send + 'a;

    /// Returns whether the condition is true.
    fn holds(&self, parts: &'a Parts) -> Self::Future;
}

impl<'a, F, Fut> AsyncPredicate<'a> for F
where
    F: Fn(&'a Parts) -> Fut + Send + Sync,
    Fut: Future<Output = bool> + Send + 'a,
{
    type Future = Fut;

    fn holds(&self, parts: &'a Parts) -> Fut {
        self(parts)
    }
}

/// A condition, or several with the cheap ones first.
#[derive(Clone)]
pub(super) enum Condition {
    Methods(Vec<Method>),
    /// Whether the request opens a WebSocket, or does not.
    OpensWebSocket(bool),
    Networks(Arc<Networks>),
    Path(Glob),
    #[cfg(feature = "regex")]
    Regex(regex::Regex),
    When(Arc<dyn Fn(&Parts) -> bool + Send + Sync>),
    AsyncWhen(Arc<dyn for<'a> Fn(&'a Parts) -> MaybeReady<'a, bool> + Send + Sync>),
    /// Any of several, if a true one is decisive, or all of them, if a false one is decisive.
    Several {
        decisive: bool,
        of: Vec<Self>,
    },
    /// An invalid condition. It is never evaluated, because an app with it is not built.
    Wrong(RuleError),
}

impl Condition {
    pub(super) fn path(text: &str, glob: Result<Glob, &'static str>) -> Self {
        Self::of_pattern(text, glob, Self::Path)
    }

    /// A regex that is found anywhere in a path, or has to match the whole path.
    #[cfg(feature = "regex")]
    pub(super) fn regex(text: &str, is_whole: bool) -> Self {
        let regex = regex::Regex::new(text).and_then(|regex| match is_whole {
            true => regex::Regex::new(&format!(r"\A(?:{text})\z")),
            false => Ok(regex),
        });
        Self::of_pattern(text, regex, Self::Regex)
    }

    fn of_pattern<T>(text: &str, pattern: Result<T, impl ToString>, condition: fn(T) -> Self) -> Self {
        match pattern {
            Ok(pattern) => condition(pattern),
            Err(reason) => Self::Wrong(PatternError::new(text, reason.to_string()).into()),
        }
    }

    pub(super) fn methods(methods: impl IntoIterator<Item = Method>) -> Self {
        let methods: Vec<_> = methods.into_iter().collect();
        if methods.is_empty() { Self::Wrong(RuleError::NoMethods) } else { Self::Methods(methods) }
    }

    /// The networks of clients. An empty list is an error where it would disable a throttle.
    pub(super) fn networks(networks: impl IntoIterator<Item: fmt::Display>, may_be_empty: bool) -> Self {
        match Networks::parse(networks) {
            Ok(networks) if networks.is_empty() && !may_be_empty => Self::Wrong(RuleError::NoNetworks),
            Ok(networks) => Self::Networks(Arc::new(networks)),
            Err(error) => Self::Wrong(error.into()),
        }
    }

    /// Combines both conditions: any of the two if a true one is decisive, or else both.
    pub(super) fn and_or(self, other: Self, decisive: bool) -> Self {
        let flat = |condition| match condition {
            Self::Several { decisive: by, of } if by == decisive => of,
            one => vec![one],
        };
        let mut of = flat(self);
        of.extend(flat(other));
        of.sort_by_key(Self::effort);
        Self::Several { decisive, of }
    }

    /// Checks whether the result may be `expected`. An unclear result may be either.
    pub(super) fn may_be<'a>(&'a self, expected: bool, input: &RuleInput<'a>) -> MaybeReady<'a, bool> {
        MaybeReady::Ready(match self {
            Self::Methods(methods) => is_one_of(&input.parts.method, methods, expected) == expected,
            Self::OpensWebSocket(opens) => {
                opens_websocket(input.parts).is_none_or(|answer| (answer == *opens) == expected)
            }
            Self::Networks(networks) => input.address().is_none_or(|address| is_in(networks, address, expected, input)),
            // A bypass is compared with all slashes of the path.
            Self::Path(glob) => input.path().any(|form, has_slashes| match has_slashes && !expected {
                true => glob.matches_exactly(form) == expected,
                false => glob.matches(form) == expected,
            }),
            #[cfg(feature = "regex")]
            Self::Regex(regex) => input.path().any(|form, _| regex.is_match(form) == expected),
            Self::When(predicate) => predicate(input.parts) == expected,
            Self::AsyncWhen(predicate) => {
                let parts = input.parts;
                // The function is first called when the result is awaited.
                return MaybeReady::pending(async move { predicate(parts).await == expected });
            }
            Self::Several { decisive, of } => {
                return settled_by(*decisive == expected, of.iter().map(|one| one.may_be(expected, input)));
            }
            Self::Wrong(_) => true,
        })
    }

    /// Returns the order of evaluation: cheap conditions first.
    pub(super) fn effort(&self) -> u8 {
        match self {
            Self::Methods(_) | Self::Wrong(_) => 0,
            Self::OpensWebSocket(_) => 1,
            Self::Networks(_) => 2,
            Self::Path(_) => 3,
            #[cfg(feature = "regex")]
            Self::Regex(_) => 4,
            Self::When(_) => 5,
            Self::AsyncWhen(_) => 6,
            Self::Several { of, .. } => of.iter().map(Self::effort).max().unwrap_or(0),
        }
    }

    /// Returns the error of an invalid condition.
    pub(super) fn error(&self) -> Option<&RuleError> {
        match self {
            Self::Wrong(error) => Some(error),
            Self::Several { of, .. } => of.iter().find_map(Self::error),
            _ => None,
        }
    }

    /// Returns the conditions that must be true for this one to be true.
    pub(super) fn necessary(&self) -> &[Self] {
        match self {
            Self::Several { decisive: false, of } => of,
            one => std::slice::from_ref(one),
        }
    }

    /// Returns whether it is known that no request matches both.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Methods(one), Self::Methods(other)) => {
                let meets = |one: &[Method], other: &[Method]| one.iter().any(|method| is_one_of(method, other, true));
                !meets(one, other) && !meets(other, one)
            }
            (Self::OpensWebSocket(one), Self::OpensWebSocket(other)) => one != other,
            (Self::Path(one), Self::Path(other)) => one.excludes(other),
            (Self::Several { decisive: true, of }, one) | (one, Self::Several { decisive: true, of }) => {
                of.iter().all(|other| other.excludes(one))
            }
            (Self::Several { of, .. }, one) | (one, Self::Several { of, .. }) => {
                of.iter().any(|other| other.excludes(one))
            }
            _ => false,
        }
    }
}

/// Checks whether it is one of the methods. HEAD is unclear where GET is listed: axum's handlers of GET answer it.
fn is_one_of(method: &Method, methods: &[Method], in_doubt: bool) -> bool {
    methods.contains(method) || (in_doubt && method == Method::HEAD && methods.contains(&Method::GET))
}

/// Checks whether the result may be `expected`. An address that embeds an IPv4 address is unclear: rules compare both, and
/// bypasses only the address itself.
fn is_in(networks: &Networks, address: IpAddr, expected: bool, input: &RuleInput<'_>) -> bool {
    if expected { networks.may_contain(address, &input.by) } else { !networks.contain(address) }
}

/// Returns `decisive` if it is one of the results. Async results are awaited only if no other decides.
pub(super) fn settled_by<'a>(
    decisive: bool,
    answers: impl Iterator<Item = MaybeReady<'a, bool>>,
) -> MaybeReady<'a, bool> {
    let mut open = Vec::new();
    for answer in answers {
        match answer {
            MaybeReady::Ready(answer) if answer == decisive => return MaybeReady::Ready(decisive),
            MaybeReady::Ready(_) => {}
            MaybeReady::Pending(answer) => open.push(answer),
        }
    }
    if open.is_empty() {
        return MaybeReady::Ready(!decisive);
    }
    MaybeReady::pending(async move {
        for answer in open {
            if answer.await == decisive {
                return decisive;
            }
        }
        !decisive
    })
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Methods(methods) => write!(f, "the methods {methods:?}"),
            Self::OpensWebSocket(true) => f.write_str("the handshake of a WebSocket"),
            Self::OpensWebSocket(false) => f.write_str("no handshake of a WebSocket"),
            Self::Networks(networks) => write!(f, "the networks {networks:?}"),
            Self::Path(glob) => write!(f, "the path {glob:?}"),
            #[cfg(feature = "regex")]
            Self::Regex(regex) => write!(f, "the path {:?}", regex.as_str()),
            Self::When(_) => f.write_str("a function"),
            Self::AsyncWhen(_) => f.write_str("an async function"),
            Self::Several { decisive: true, of } => write!(f, "one of {of:?}"),
            Self::Several { of, .. } => write!(f, "all of {of:?}"),
            Self::Wrong(error) => fmt::Display::fmt(error, f),
        }
    }
}

/// A request as rules see it.
#[derive(Debug)]
pub(super) struct RuleInput<'a> {
    parts: &'a Parts,
    by: ClientAddress<'a>,
    path: OnceCell<PathForms<'a>>,
    address: OnceCell<Option<IpAddr>>,
}

impl<'a> RuleInput<'a> {
    pub(super) fn new(parts: &'a Parts, by: ClientAddress<'a>) -> Self {
        Self { parts, by, path: OnceCell::new(), address: OnceCell::new() }
    }

    /// Returns the address of the client, if it is known.
    fn address(&self) -> Option<IpAddr> {
        *self.address.get_or_init(|| self.by.of(self.parts))
    }

    /// Returns the path that the client sent. Within a nested router it differs from that of the URI.
    pub(super) fn path(&self) -> &PathForms<'a> {
        self.path.get_or_init(|| {
            let original = self.parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri);
            PathForms::new(original.unwrap_or(&self.parts.uri).path())
        })
    }
}

/// An error in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A pattern is invalid.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A rule lists no methods.
    #[error("a rule has an empty list of methods, so it would never match: list at least one")]
    NoMethods,
    /// A rule or a bypass lists a text that is neither an address nor a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A rule lists no networks.
    #[error("a rule has an empty list of networks, so it would never match: list at least one")]
    NoNetworks,
    /// No request matches all conditions.
    #[error(
        "no request matches both {one} and {other}, so the throttle would never apply. All rules of a throttle must \
         match: to require only one of them, write `one.or(other)`"
    )]
    #[non_exhaustive]
    NeverBoth {
        /// A condition that must be true.
        one: String,
        /// A condition that is never true with it.
        other: String,
    },
}

/// An invalid pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the pattern {pattern:?} cannot be used: {reason}")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

impl PatternError {
    pub(super) fn new(pattern: &str, reason: String) -> Self {
        Self { pattern: pattern.to_owned(), reason }
    }

    /// Returns the pattern.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}
