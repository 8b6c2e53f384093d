//! What has to hold of a request, with the answers in doubt.

use std::{fmt, pin::Pin, sync::Arc};

use axum::http::{Method, request::Parts};

use super::{Seen, error::RuleError, handshake::opens_websocket, pattern::Pattern};

/// An async function of the request's parts that says yes or no: `async fn(&Parts) -> bool`.
pub trait AsyncPredicate<'a>: Send + Sync {
    /// Its future.
    type Future: Future<Output = bool> + Send + 'a;

    /// Says whether it holds.
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

type Answer<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// A condition. What is made of several has the cheap ones first.
#[derive(Clone)]
pub(super) enum Condition {
    Methods(Vec<Method>),
    /// Whether it opens a WebSocket, or does not.
    OpensWebSocket(bool),
    Path(Pattern),
    When(Arc<dyn Fn(&Parts) -> bool + Send + Sync>),
    AsyncWhen(Arc<dyn for<'a> Fn(&'a Parts) -> Answer<'a> + Send + Sync>),
    All(Vec<Self>),
    Any(Vec<Self>),
    /// One that was written wrong. It is never asked: an app with it is not built.
    Wrong(RuleError),
}

impl Condition {
    pub(super) fn path(pattern: Result<Pattern, impl Into<RuleError>>) -> Self {
        pattern.map_or_else(|error| Self::Wrong(error.into()), Self::Path)
    }

    pub(super) fn methods(methods: impl IntoIterator<Item = Method>) -> Self {
        let methods: Vec<_> = methods.into_iter().collect();
        if methods.is_empty() { Self::Wrong(RuleError::NoMethods) } else { Self::Methods(methods) }
    }

    pub(super) fn when(predicate: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        Self::When(Arc::new(predicate))
    }

    pub(super) fn async_when(predicate: impl for<'a> AsyncPredicate<'a> + 'static) -> Self {
        Self::AsyncWhen(Arc::new(move |parts| Box::pin(predicate.holds(parts))))
    }

    pub(super) fn and(self, other: Self) -> Self {
        let flat = |condition| match condition {
            Self::All(all) => all,
            one => vec![one],
        };
        Self::All(cheap_first(flat(self), flat(other)))
    }

    pub(super) fn or(self, other: Self) -> Self {
        let flat = |condition| match condition {
            Self::Any(any) => any,
            one => vec![one],
        };
        Self::Any(cheap_first(flat(self), flat(other)))
    }

    /// Whether it holds, if that is known without waiting. Where it is in doubt, the answer is the one given for that.
    pub(super) fn holds_now(&self, request: &Seen<'_>, in_doubt: bool) -> Option<bool> {
        match self {
            Self::Methods(methods) => Some(is_one_of(&request.parts.method, methods, in_doubt)),
            Self::OpensWebSocket(opens) => Some(opens_websocket(request.parts).map_or(in_doubt, |it| it == *opens)),
            Self::Path(pattern) => Some(pattern.matches(request.path(), in_doubt)),
            Self::When(predicate) => Some(predicate(request.parts)),
            Self::AsyncWhen(_) => None,
            Self::All(all) => all_hold(all.iter().map(|condition| condition.holds_now(request, in_doubt))),
            Self::Any(any) => one_holds(any.iter().map(|condition| condition.holds_now(request, in_doubt))),
            Self::Wrong(_) => Some(in_doubt),
        }
    }

    /// Whether it holds.
    pub(super) fn holds<'a>(&'a self, parts: &'a Parts, in_doubt: bool) -> Answer<'a> {
        let now = self.holds_now(&Seen::new(parts), in_doubt);
        Box::pin(async move {
            match (now, self) {
                (Some(holds), _) => holds,
                (None, Self::AsyncWhen(predicate)) => predicate(parts).await,
                (None, Self::All(all)) => {
                    // The others hold: else it would be known by now.
                    for condition in all.iter().filter(|condition| condition.waits()) {
                        if !condition.holds(parts, in_doubt).await {
                            return false;
                        }
                    }
                    true
                }
                (None, Self::Any(any)) => {
                    for condition in any.iter().filter(|condition| condition.waits()) {
                        if condition.holds(parts, in_doubt).await {
                            return true;
                        }
                    }
                    false
                }
                (None, _) => in_doubt,
            }
        })
    }

    /// Whether it may have to be waited for.
    pub(super) fn waits(&self) -> bool {
        self.effort() == Effort::Waits
    }

    fn effort(&self) -> Effort {
        match self {
            Self::Methods(_) | Self::Wrong(_) => Effort::Method,
            Self::OpensWebSocket(_) => Effort::Fields,
            Self::Path(pattern) if pattern.is_regex() => Effort::Regex,
            Self::Path(_) => Effort::Path,
            Self::When(_) => Effort::Function,
            Self::AsyncWhen(_) => Effort::Waits,
            Self::All(several) | Self::Any(several) => several.iter().map(Self::effort).max().unwrap_or(Effort::Method),
        }
    }

    /// What was written wrong, if anything was.
    pub(super) fn error(&self) -> Option<&RuleError> {
        match self {
            Self::Wrong(error) => Some(error),
            Self::All(several) | Self::Any(several) => several.iter().find_map(Self::error),
            _ => None,
        }
    }

    /// What has to hold for it to hold.
    pub(super) fn necessary(&self) -> &[Self] {
        match self {
            Self::All(all) => all,
            one => std::slice::from_ref(one),
        }
    }

    /// Whether it is known that no request is both.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Methods(one), Self::Methods(other)) => {
                let meets = |one: &[Method], other: &[Method]| one.iter().any(|method| is_one_of(method, other, true));
                !meets(one, other) && !meets(other, one)
            }
            (Self::OpensWebSocket(one), Self::OpensWebSocket(other)) => one != other,
            (Self::Path(one), Self::Path(other)) => one.excludes(other),
            (Self::Any(any), other) | (other, Self::Any(any)) => any.iter().all(|one| one.excludes(other)),
            (Self::All(all), other) | (other, Self::All(all)) => all.iter().any(|one| one.excludes(other)),
            _ => false,
        }
    }
}

/// Whether it is one of the methods. HEAD is in doubt where GET is: axum's handlers of GET answer it.
fn is_one_of(method: &Method, methods: &[Method], in_doubt: bool) -> bool {
    methods.contains(method) || (in_doubt && method == Method::HEAD && methods.contains(&Method::GET))
}

/// What it takes to find out: the little first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effort {
    Method,
    Fields,
    Path,
    Regex,
    Function,
    Waits,
}

fn cheap_first(mut several: Vec<Condition>, others: Vec<Condition>) -> Vec<Condition> {
    several.extend(others);
    several.sort_by_key(Condition::effort);
    several
}

/// Whether all hold: one that does not settles it, whatever is not known of others.
pub(super) fn all_hold(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    one_holds(answers.map(|answer| answer.map(|holds| !holds))).map(|one_does_not| !one_does_not)
}

/// Whether one holds: one that does settles it, likewise.
pub(super) fn one_holds(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut none_does = Some(false);
    for answer in answers {
        match answer {
            Some(true) => return answer,
            Some(false) => {}
            None => none_does = None,
        }
    }
    none_does
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Methods(methods) => write!(f, "the methods {methods:?}"),
            Self::OpensWebSocket(true) => f.write_str("the handshake of a WebSocket"),
            Self::OpensWebSocket(false) => f.write_str("no handshake of a WebSocket"),
            Self::Path(pattern) => write!(f, "the path {pattern:?}"),
            Self::When(_) => f.write_str("a function"),
            Self::AsyncWhen(_) => f.write_str("an async function"),
            Self::All(all) => write!(f, "all of {all:?}"),
            Self::Any(any) => write!(f, "one of {any:?}"),
            Self::Wrong(error) => fmt::Display::fmt(error, f),
        }
    }
}
