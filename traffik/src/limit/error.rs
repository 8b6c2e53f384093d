use thiserror::Error;
use traffik_core::{OutOfRange, rate::Rate, strategy::StrategyError};

use crate::{
    request::{ProxyError, RuleError},
    warning::Warning,
};

/// A throttle or an app that is set up wrong.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two throttles have one uid.
    #[error(
        "the throttles {first} and {second} have the same uid {uid:?}: give one of them another, or use one type in \
         both places to share the limit"
    )]
    #[non_exhaustive]
    DuplicateUid {
        /// The uid.
        uid: Box<str>,
        /// The throttle that was known first, with its place in the source where a macro declared it.
        first: Box<str>,
        /// The throttle that came later, likewise.
        second: Box<str>,
    },
    /// The strategy of a throttle does not go with its rate.
    #[error("the throttle `{throttle}` (uid {uid:?}) cannot work: {source}")]
    #[non_exhaustive]
    Strategy {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// What is out of bounds.
        source: StrategyError,
    },
    /// A request was to be decided at a rate that the strategy of its throttle does not go with.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) cannot work at the rate {rate}, which it was given for a request: {source}"
    )]
    #[non_exhaustive]
    RateOfRequest {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The rate.
        rate: Rate,
        /// What is out of bounds.
        source: StrategyError,
    },
    /// A setting of the app has a value that is out of its range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// A setting of a throttle has a value that is out of its range.
    #[error("the throttle `{throttle}` (uid {uid:?}) cannot work: {source}")]
    #[non_exhaustive]
    Setting {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The setting and its range.
        source: OutOfRange,
    },
    /// A throttle says twice what names its clients.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) names its client twice: by its type `Identity` and by an identity in its \
         settings. Make the type `DefaultIdentity`, or leave the identity out"
    )]
    #[non_exhaustive]
    TwoIdentities {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
    },
    /// The rules of a throttle cannot be used.
    #[error("the throttle `{throttle}` (uid {uid:?}) cannot be ruled: {source}")]
    #[non_exhaustive]
    Rule {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// What is wrong.
        source: RuleError,
    },
    /// Rules are added to a throttle that the app does not know.
    #[error(
        "rules are added to the uid {uid:?}, which no throttle has that this app knows{}: one whose `impl Throttle` is \
         written by hand is made known with `Traffik::builder(..).register::<T>()`", did_you_mean(.near)
    )]
    #[non_exhaustive]
    UnknownUid {
        /// The uid.
        uid: Box<str>,
        /// The uids of throttles that it may be meant for.
        near: Box<[Box<str>]>,
    },
    /// A layer has rules for a throttle that is not one of its own.
    #[error("`throttle_layer::<{layer}>()` has rules for `{throttle}` (uid {uid:?}), which is none of its throttles")]
    #[non_exhaustive]
    NotInLayer {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The throttles of the layer.
        layer: Box<str>,
    },
    /// A throttle names a backend that the app does not have.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) is kept in the backend {backend:?}, which this app does not have{}: add it with \
         `Traffik::builder(..).backend({backend:?}, ..)`", but_has(.has)
    )]
    #[non_exhaustive]
    NoBackend {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The name of the backend.
        backend: Box<str>,
        /// The names of those that the app has, beside its own.
        has: Box<[Box<str>]>,
    },
    /// Two backends of an app have one name.
    #[error("two backends of this app have the name {name:?}: give one of them another")]
    #[non_exhaustive]
    DuplicateBackend {
        /// The name.
        name: Box<str>,
    },
    /// A proxy that is to be trusted is neither an address nor a network.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Throttles that are to be one decision are kept in different backends.
    #[error(
        "the throttles {first:?} (kept in {}) and {second:?} (kept in {}) cannot be one decision, since no backend charges for \
         another: keep them in one backend, or make them separate arguments of the handler, which are decided in order",
        called(.first_backend.as_deref()), called(.second_backend.as_deref())
    )]
    #[non_exhaustive]
    TwoBackends {
        /// The uid of the throttle that is written first.
        first: Box<str>,
        /// The name of its backend, if it is not the app's own.
        first_backend: Option<Box<str>>,
        /// The uid of the first throttle after it that is kept elsewhere.
        second: Box<str>,
        /// The name of that one's backend, likewise.
        second_backend: Option<Box<str>>,
    },
}

impl ConfigError {
    pub(super) fn duplicate(uid: &str, first: &str, second: &str) -> Self {
        Self::DuplicateUid { uid: uid.into(), first: first.into(), second: second.into() }
    }

    /// Returns the warning that takes the place of this error where the app does not use the throttle.
    ///
    /// Returns `None` if the throttle cannot work in any app.
    pub(super) const fn warning(&self) -> Option<Warning> {
        match self {
            Self::DuplicateUid { .. } => Some(Warning::DuplicateUid),
            Self::NoBackend { .. } => Some(Warning::MissingBackend),
            Self::TwoBackends { .. } => Some(Warning::TwoBackends),
            _ => None,
        }
    }

    pub(super) fn unknown_uid(uid: &str, known: &[&str]) -> Self {
        let mut near: Vec<_> = known.iter().map(|known| (strsim::jaro_winkler(uid, known), *known)).collect();
        near.retain(|(likeness, _)| *likeness > 0.8);
        near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        Self::UnknownUid { uid: uid.into(), near: near.into_iter().map(|(_, known)| known.into()).take(3).collect() }
    }
}

fn called(backend: Option<&str>) -> String {
    backend.map_or_else(|| "the app's own backend".to_owned(), |name| format!("the backend {name:?}"))
}

/// The names of the backends that an app has, if it has any.
fn but_has(names: &[Box<str>]) -> String {
    if names.is_empty() { String::new() } else { format!(" (it has {names:?})") }
}

fn did_you_mean(near: &[Box<str>]) -> String {
    if near.is_empty() { String::new() } else { format!(" (did you mean one of {near:?}?)") }
}
