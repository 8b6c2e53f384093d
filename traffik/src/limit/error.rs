use thiserror::Error;
use traffik_core::{rate::Rate, strategy::StrategyError};

use crate::request::{ProxyError, RuleError};

/// A throttle or an app that is set up wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two throttles have one uid.
    #[error(
        "the throttles {first} and {second} have the same uid {uid:?}: give one of them another, or use one type in \
         both places to share the limit (a test binary that builds many apps may allow it with \
         `Traffik::builder(..).allow_duplicate_uids()`)"
    )]
    DuplicateUid {
        /// The uid.
        uid: &'static str,
        /// The throttle that was known first, with its place in the source where a macro declared it.
        first: &'static str,
        /// The throttle that came later, likewise.
        second: &'static str,
    },
    /// The strategy of a throttle does not go with its rate.
    #[error("the throttle `{throttle}` (uid {uid:?}) cannot work: {source}")]
    Strategy {
        /// The uid.
        uid: &'static str,
        /// The throttle.
        throttle: &'static str,
        /// What is out of bounds.
        source: StrategyError,
    },
    /// A request was to be decided at a rate that the strategy of its throttle does not go with.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) cannot work at the rate {rate}, which it was given for a request: {source}"
    )]
    RateOfRequest {
        /// The uid.
        uid: &'static str,
        /// The throttle.
        throttle: &'static str,
        /// The rate.
        rate: Rate,
        /// What is out of bounds.
        source: StrategyError,
    },
    /// A throttle says twice what names its clients.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) names its client twice: by its type `Identity` and by an identifier in its \
         settings. Make the type `DefaultIdentity`, or leave the identifier out"
    )]
    TwoIdentities {
        /// The uid.
        uid: &'static str,
        /// The throttle.
        throttle: &'static str,
    },
    /// The rules of a throttle cannot be used.
    #[error("the throttle `{throttle}` (uid {uid:?}) cannot be ruled: {source}")]
    Rule {
        /// The uid.
        uid: &'static str,
        /// The throttle.
        throttle: &'static str,
        /// What is wrong.
        source: RuleError,
    },
    /// Rules are added to a throttle that the app does not know.
    #[error(
        "rules are added to the uid {uid:?}, which no throttle has that this app knows{}: one whose `impl Throttle` is \
         written by hand is made known with `Traffik::builder(..).register::<T>()`", did_you_mean(.near)
    )]
    UnknownUid {
        /// The uid.
        uid: &'static str,
        /// The uids of throttles that it may be meant for.
        near: Box<[&'static str]>,
    },
    /// A layer has rules for a throttle that is not one of its own.
    #[error("`throttle_layer::<{layer}>()` has rules for `{throttle}` (uid {uid:?}), which is none of its throttles")]
    NotInLayer {
        /// The uid.
        uid: &'static str,
        /// The throttle.
        throttle: &'static str,
        /// The throttles of the layer.
        layer: &'static str,
    },
    /// A throttle names a backend that the app does not have.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) is kept in the backend {backend:?}, which this app does not have{}: add it with \
         `Traffik::builder(..).backend({backend:?}, ..)`", but_has(.has)
    )]
    NoBackend {
        /// The uid.
        uid: &'static str,
        /// The throttle.
        throttle: &'static str,
        /// The name of the backend.
        backend: &'static str,
        /// The names of those that the app has, beside its own.
        has: Box<[&'static str]>,
    },
    /// Two backends of an app have one name.
    #[error("two backends of this app have the name {name:?}: give one of them another")]
    DuplicateBackend {
        /// The name.
        name: &'static str,
    },
    /// A proxy that is to be trusted is neither an address nor a network.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Throttles that are to be one decision are kept in different backends.
    #[error(
        "the throttles {first:?} (kept in {}) and {second:?} (kept in {}) cannot be one decision, since no backend charges for \
         another: keep them in one backend, or make them separate arguments of the handler, which are decided in order",
        called(.first_backend), called(.second_backend)
    )]
    TwoBackends {
        /// The uid of the throttle that is written first.
        first: &'static str,
        /// The name of its backend, if it is not the app's own.
        first_backend: Option<&'static str>,
        /// The uid of the first throttle after it that is kept elsewhere.
        second: &'static str,
        /// The name of that one's backend, likewise.
        second_backend: Option<&'static str>,
    },
}

impl ConfigError {
    pub(crate) fn duplicate(uid: &'static str, first: &'static str, second: &'static str) -> Self {
        Self::DuplicateUid { uid, first, second }
    }

    pub(crate) fn unknown_uid(uid: &'static str, known: &[&'static str]) -> Self {
        let mut near: Vec<_> = known.iter().map(|known| (strsim::jaro_winkler(uid, known), *known)).collect();
        near.retain(|(likeness, _)| *likeness > 0.8);
        near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        Self::UnknownUid { uid, near: near.into_iter().map(|(_, known)| known).take(3).collect() }
    }
}

fn called(backend: &Option<&'static str>) -> String {
    backend.map_or_else(|| "the app's own backend".to_owned(), |name| format!("the backend {name:?}"))
}

/// The names of the backends that an app has, if it has any.
fn but_has(names: &[&'static str]) -> String {
    if names.is_empty() { String::new() } else { format!(" (it has {names:?})") }
}

fn did_you_mean(near: &[&'static str]) -> String {
    if near.is_empty() { String::new() } else { format!(" (did you mean one of {near:?}?)") }
}
