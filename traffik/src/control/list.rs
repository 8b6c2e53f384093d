use std::sync::Arc;

use traffik_core::{rate::Rate, strategy::Strategy};

use super::{KnownBy, Source};
use crate::observe::Counts;
use crate::{
    limit::{
        Definition,
        changes::{BySource, Live},
    },
    request::Applies,
};

/// A limit that an app knows, as it is now. [`Traffik::limits`](crate::Traffik::limits) returns it.
///
/// With the feature `serde` it serializes as an object:
///
/// | field | contents |
/// |---|---|
/// | `uid` | the uid |
/// | `known_by` | `"declared"`, `"registered"`, `"met"`, `"added"` or `"file"` |
/// | `strategy` | the name of the strategy |
/// | `backend` | the name of the backend, or null for the app's own |
/// | `backend_by_request` | whether requests choose the backend, so that `backend` is null |
/// | `rate`, `cost`, `enabled`, `dry_run` | each a [`SettingInfo`] |
/// | `added_rules` | the number of rules and bypasses that were added |
/// | `clients` | the number of clients with changes |
/// | `counts` | the [`Counts`] of its decisions |
///
/// More fields may be added.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LimitInfo {
    uid: Box<str>,
    known_by: KnownBy,
    strategy: &'static str,
    backend: Option<Box<str>>,
    backend_by_request: bool,
    rate: SettingInfo<Rate>,
    cost: SettingInfo<u64>,
    enabled: SettingInfo<bool>,
    dry_run: SettingInfo<bool>,
    added_rules: usize,
    clients: usize,
    counts: Counts,
}

/// A setting of a limit: the value in force, and the value of each source.
///
/// With the feature `serde` it serializes as an object with the fields `value`, `source` and `sources`. The latter is an array of
/// objects with `source` and `value`, the strongest first. Where a function or the caller decides, `value` is null.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SettingInfo<T> {
    value: T,
    source: Source,
    sources: Vec<SourceInfo<T>>,
}

/// The value of one source.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
struct SourceInfo<T> {
    source: Source,
    value: Option<T>,
}

impl LimitInfo {
    pub(super) fn new(definition: &Arc<Definition>, known_by: KnownBy, live: &Live) -> Self {
        let limit = live.of(&definition.uid);
        let settings = &definition.settings;
        let declared_by = if known_by == KnownBy::File { Source::File } else { Source::Code };
        let switch = limit.values.map(|values| values.switch).or(live.all);
        let enabled = switch.map(|switch| switch.map(|switch| !switch.is_off()));
        Self {
            uid: Box::from(&*definition.uid),
            known_by,
            strategy: settings.strategy.name(),
            backend: settings.backend.map(Into::into),
            backend_by_request: settings.request.backend.is_some(),
            rate: SettingInfo::new(
                // A rate that the strategy does not support is not in force.
                limit.values.map(|values| values.rate.filter(|rate| definition.check_rate(*rate).is_ok())),
                settings.request.rate.is_some(),
                (definition.rate, declared_by),
            ),
            cost: SettingInfo::new(
                limit.values.map(|values| values.cost),
                settings.request.cost.is_some(),
                (settings.cost, declared_by),
            ),
            enabled: SettingInfo::new(enabled, false, (true, declared_by)),
            dry_run: SettingInfo::new(
                limit.values.map(|values| values.dry_run),
                false,
                (!definition.is_enforced(), declared_by),
            ),
            added_rules: limit.rules().map_or(0, Applies::len),
            clients: limit.clients.iter().map(|clients| clients.len()).sum(),
            counts: definition.counters.read(),
        }
    }

    /// Returns the uid.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Returns how the app came to know the limit.
    #[must_use]
    pub fn known_by(&self) -> KnownBy {
        self.known_by
    }

    /// Returns the name of the strategy.
    #[must_use]
    pub fn strategy(&self) -> &str {
        self.strategy
    }

    /// Returns the name of the backend, or `None` for the app's own.
    #[must_use]
    pub fn backend(&self) -> Option<&str> {
        self.backend.as_deref()
    }

    /// Returns `true` if requests [choose](crate::Settings::backend_of) the backend.
    #[must_use]
    pub fn has_backend_by_request(&self) -> bool {
        self.backend_by_request
    }

    /// Returns the rate.
    #[must_use]
    pub fn rate(&self) -> &SettingInfo<Rate> {
        &self.rate
    }

    /// Returns the cost of a request.
    #[must_use]
    pub fn cost(&self) -> &SettingInfo<u64> {
        &self.cost
    }

    /// Returns whether the limit applies to requests.
    #[must_use]
    pub fn enabled(&self) -> &SettingInfo<bool> {
        &self.enabled
    }

    /// Returns whether the limit only reports what it would refuse.
    #[must_use]
    pub fn dry_run(&self) -> &SettingInfo<bool> {
        &self.dry_run
    }

    /// Returns the number of rules and bypasses that were added since the start.
    #[must_use]
    pub fn added_rules(&self) -> usize {
        self.added_rules
    }

    /// Returns the number of clients with changes of their own.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Returns the number of its decisions since the start of the app, by their outcome.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

impl<T: Copy> SettingInfo<T> {
    fn new(values: BySource<Option<T>>, by_function: bool, (declared, declared_by): (T, Source)) -> Self {
        let known = |source, value: Option<T>| value.map(|value| SourceInfo { source, value: Some(value) });
        let sources: Vec<_> = [
            known(Source::Local, values.local),
            known(Source::Shared, values.shared),
            by_function.then_some(SourceInfo { source: Source::Request, value: None }),
            known(Source::File, values.file),
            known(declared_by, Some(declared)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let source = sources.first().map_or(declared_by, |first| first.source);
        let value = sources.iter().find_map(|source| source.value).unwrap_or(declared);
        Self { value, source, sources }
    }

    /// Returns the value in force. Where the source is [`Source::Request`], it is the value that a function or a caller
    /// replaces.
    #[must_use]
    pub fn value(&self) -> T {
        self.value
    }

    /// Returns the source of the value.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Returns each source that has a value, the strongest first. The value is `None` for a function of the throttle.
    pub fn sources(&self) -> impl Iterator<Item = (Source, Option<T>)> {
        self.sources.iter().map(|info| (info.source, info.value))
    }
}
