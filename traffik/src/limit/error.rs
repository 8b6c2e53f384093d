use std::sync::Arc;

use thiserror::Error;
use traffik_core::{OutOfRange, client::Nat64PrefixError, rate::Rate, strategy::StrategyError};

#[cfg(feature = "file")]
use super::limits_file_error::LimitsFileError;
use crate::{
    request::{NetworkError, ProxyError, RuleError},
    warning::Warning,
};

/// An error in the setup of a throttle or an app.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two throttles have one uid.
    #[error(
        "the throttles {first} and {second} have the same uid {uid:?}: change one uid, or use one type in both places to \
         share the limit"
    )]
    #[non_exhaustive]
    DuplicateUid {
        /// The uid.
        uid: Box<str>,
        /// The throttle that was added first, with its place in the source if a macro declared it.
        first: Box<str>,
        /// The throttle that was added later, in the same form.
        second: Box<str>,
    },
    /// The strategy of a throttle does not support its rate.
    #[error("the throttle `{throttle}` (uid {uid:?}) cannot work: {source}")]
    #[non_exhaustive]
    Strategy {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The value that is out of bounds.
        source: StrategyError,
    },
    /// The strategy of a throttle does not support the rate of a request.
    #[error("the throttle `{throttle}` (uid {uid:?}) cannot work at the rate {rate} of a request: {source}")]
    #[non_exhaustive]
    RateOfRequest {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The rate.
        rate: Rate,
        /// The value that is out of bounds.
        source: StrategyError,
    },
    /// The strategy of a throttle does not support the rate of a change.
    #[error("the throttle `{throttle}` (uid {uid:?}) cannot be changed to the rate {rate}: {source}")]
    #[non_exhaustive]
    ChangedRate {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The rate.
        rate: Rate,
        /// The value that is out of bounds.
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
    /// The share of a limit to warn at is out of range.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) has `warn_at` {share}: set it to a share of the limit above 0 and at most 1, such \
         as 0.8"
    )]
    #[non_exhaustive]
    WarnAt {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The share.
        share: f64,
    },
    /// A throttle sets its identity twice.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) has two identities: its type `Identity`, and an identity in its settings. Set \
         the type to `DefaultIdentity`, or remove the identity from the settings"
    )]
    #[non_exhaustive]
    TwoIdentities {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
    },
    /// The rules of a throttle cannot be used.
    #[error("the rules of the throttle `{throttle}` (uid {uid:?}) cannot be used: {source}")]
    #[non_exhaustive]
    Rule {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The error in the rule.
        source: RuleError,
    },
    /// A limit that was added is named, and the uid is that of a type, or of a limit in a file.
    #[error(
        "{uid:?} is the uid of `{throttle}`, which `Traffik::add_limit` did not add: check a throttle by its type, remove a limit \
         of a file in the file, and disable either with `traffik.limit({uid:?})?.disable()`"
    )]
    #[non_exhaustive]
    NotAValue {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
    },
    /// The uid of a limit that was added cannot be used.
    #[error(
        "the uid {uid:?} of a limit cannot be used: write at least one character, and only printable ASCII, because responses \
         contain it in a header field"
    )]
    #[non_exhaustive]
    Uid {
        /// The uid.
        uid: Box<str>,
    },
    /// A limit is named that the app does not know.
    #[error(
        "no limit that this app knows has the uid {uid:?}{}: correct the uid, add the limit with `Traffik::add_limit(..)`, or \
         register a throttle whose `impl Throttle` is written by hand with `Traffik::builder(..).register::<T>()`",
        did_you_mean(.near)
    )]
    #[non_exhaustive]
    UnknownUid {
        /// The uid.
        uid: Box<str>,
        /// Similar uids of throttles that the app knows.
        near: Box<[Box<str>]>,
    },
    /// A limits file cannot be used.
    #[cfg(feature = "file")]
    #[error(transparent)]
    LimitsFile(#[from] LimitsFileError),
    /// An app without a limits file is to load it.
    #[cfg(feature = "file")]
    #[error("this app has no limits file: name it with `Traffik::builder(..).limits_file(\"limits.toml\")`")]
    NoLimitsFile,
    /// A change is for a client without limits.
    #[error(
        "the throttle {uid:?} has nothing to change for an exempt client, because it has no key: name a client with a key"
    )]
    #[non_exhaustive]
    ExemptClient {
        /// The uid.
        uid: Box<str>,
    },
    /// A shared change is for a secret client.
    #[error(
        "the throttle {uid:?} cannot share a change for a secret client, because the backend would store the secret: make the \
         change in each process with `Traffik::limit`, or identify clients by something that is not secret"
    )]
    #[non_exhaustive]
    SecretClient {
        /// The uid.
        uid: Box<str>,
    },
    /// Too many clients have changes.
    #[error(
        "the throttle {uid:?} cannot have a change for another client, because {max} clients have one: remove changes that are \
         no longer needed, or give them an end"
    )]
    #[non_exhaustive]
    TooManyClients {
        /// The uid.
        uid: Box<str>,
        /// The highest number of clients with changes in an app.
        max: usize,
    },
    /// A layer has rules for a throttle that is not one of its own.
    #[error(
        "`throttle_layer::<{layer}>()` has rules for `{throttle}` (uid {uid:?}), which is not in the layer: add the throttle to \
         the layer, or remove the rules"
    )]
    #[non_exhaustive]
    NotInLayer {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The throttles of the layer.
        layer: Box<str>,
    },
    /// A throttle refunds by the response where it cannot.
    #[error("the throttle `{throttle}` (uid {uid:?}) has a `refund_if` that cannot work: {reason}")]
    #[non_exhaustive]
    RefundIf {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The reason, and what to change.
        reason: &'static str,
    },
    /// A quota has nothing to check.
    #[error("the quota is empty: add a limiter to it before it is checked, or skip the check")]
    EmptyQuota,
    /// A limiter of another app was added to a quota.
    #[error("a limiter of another `Traffik` was added to the quota: a decision is made in one app")]
    OtherApp,
    /// A limiter that waits was added to a quota.
    #[error("a limiter that waits was added to the quota, which does not wait: remove `wait` from the limiter")]
    WaitingQuota,
    /// A throttle names a backend that the app does not have.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) uses the backend {backend:?}, which this app does not have{}: add it with \
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
        /// The names of the additional backends of the app.
        has: Box<[Box<str>]>,
    },
    /// A throttle names a backend, and has a function that chooses one.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) has a backend, and a function that chooses one: remove `backend` or `backend_of` \
         from its settings"
    )]
    #[non_exhaustive]
    BackendTwice {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
    },
    /// A throttle chooses its backend by the request, and a check has none.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) chooses its backend by the request (`backend_of`), and this check has no request: \
         name the backend with `traffik.limiter(..).backend(\"..\")`, or with `traffik.limit(..)?.in_backend(\"..\")?`"
    )]
    #[non_exhaustive]
    NoBackendChosen {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
    },
    /// A check or a handle names a backend, and the throttle is always in another one.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) is always in the backend {backend:?}, and a caller names {named:?}: remove `backend` \
         from the check or `in_backend` from the handle, or let requests choose the backend with `Settings::backend_of`"
    )]
    #[non_exhaustive]
    FixedBackend {
        /// The uid.
        uid: Box<str>,
        /// The throttle.
        throttle: Box<str>,
        /// The name of its backend, which is `default` for the app's own.
        backend: Box<str>,
        /// The name that the caller gives.
        named: Box<str>,
    },
    /// A backend is set up wrong, for instance without a required setting.
    #[error("{0}")]
    Backend(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// Two backends of an app have one name.
    #[error("two backends of this app have the name {name:?}: change one of the names")]
    #[non_exhaustive]
    DuplicateBackend {
        /// The name.
        name: Box<str>,
    },
    /// A trusted proxy is neither an address nor a network.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A network to deny is neither an address nor a network.
    #[error("a network to deny: {0}")]
    Network(#[from] NetworkError),
    /// A NAT64 prefix is not one.
    #[error(transparent)]
    Nat64Prefix(#[from] Nat64PrefixError),
    /// Throttles of one decision are in different backends.
    #[error(
        "the throttles {first:?} (in {}) and {second:?} (in {}) cannot be one decision, because a decision is made in one backend: \
         use one backend for both, or make them separate arguments of the handler, which are decided in order",
        called(.first_backend.as_deref()), called(.second_backend.as_deref())
    )]
    #[non_exhaustive]
    TwoBackends {
        /// The uid of the first throttle.
        first: Box<str>,
        /// The name of its backend, or `None` for the app's own.
        first_backend: Option<Box<str>>,
        /// The uid of the first throttle in another backend.
        second: Box<str>,
        /// The name of its backend, or `None` for the app's own.
        second_backend: Option<Box<str>>,
    },
}

impl ConfigError {
    pub(super) fn duplicate(uid: &str, first: &str, second: &str) -> Self {
        Self::DuplicateUid { uid: uid.into(), first: first.into(), second: second.into() }
    }

    /// Returns the warning that replaces this error if the app does not use the throttle.
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

    pub(super) fn unknown_uid<'k>(uid: &str, known: impl Iterator<Item = &'k str>) -> Self {
        let mut near: Vec<_> = known.map(|known| (strsim::jaro_winkler(uid, known), known)).collect();
        near.retain(|(likeness, _)| *likeness > 0.8);
        near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        Self::UnknownUid { uid: uid.into(), near: near.into_iter().map(|(_, known)| known.into()).take(3).collect() }
    }
}

fn called(backend: Option<&str>) -> String {
    backend.map_or_else(|| "the app's own backend".to_owned(), |name| format!("the backend {name:?}"))
}

/// Returns a text with the names of the backends, or an empty one if there are none.
fn but_has(names: &[Box<str>]) -> String {
    if names.is_empty() { String::new() } else { format!(" (it has {names:?})") }
}

fn did_you_mean(near: &[Box<str>]) -> String {
    if near.is_empty() { String::new() } else { format!(" (did you mean one of {near:?}?)") }
}
