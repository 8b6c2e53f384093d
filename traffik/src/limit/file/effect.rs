use std::fmt;

use traffik_core::client::Key;

use super::{
    file_limits::{FileLimit, FileLimits},
    limits_file::written,
};
use crate::{
    limit::changes::{BySource, ClientChange, ClientMap, Live, LiveLimit, Source, Values},
    warning::WarningLog,
};

/// A value of a limits file that is not in force, because another source is stronger.
///
/// It is written as `limit."api:search".rate (local)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct WithoutEffect {
    key: Box<str>,
    source: Source,
}

impl WithoutEffect {
    /// Returns the key in the file, such as `limit."api:search".rate`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the source of the value in force.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }
}

impl fmt::Display for WithoutEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.key, self.source)
    }
}

impl FileLimits {
    /// Warns of costs that their limits never admit.
    pub(crate) fn warn_of_costs(&self, live: &Live, warnings: &WarningLog) {
        for definition in self.limits.iter().map(|limit| &limit.definition) {
            let limit = live.of(&definition.uid);
            let rate = limit.rate().or(limit.base_rate()).unwrap_or(definition.rate);
            let cost = limit.cost().or(limit.base_cost()).unwrap_or(definition.settings.cost);
            definition.warn_of_cost(rate, cost, warnings);
        }
    }

    /// Returns the values that are not in force in a snapshot.
    pub(crate) fn without_effect(&self, live: &Live) -> Vec<WithoutEffect> {
        let all = self.all.and_then(|_| live.all.above(|switch| *switch));
        let all = all.map(|(_, source)| WithoutEffect { key: "enabled".into(), source });
        all.into_iter().chain(self.limits.iter().flat_map(|limit| limit.without_effect(live))).collect()
    }
}

impl FileLimit {
    fn without_effect(&self, live: &Live) -> Vec<WithoutEffect> {
        let (limit, declared) = (live.of(&self.definition.uid), &self.definition.settings.request);
        let above = |is_set: bool, read: &dyn Fn(&Values) -> bool, by_function: bool| {
            let changed = limit.values.above(|values| read(values).then_some(())).map(|((), source)| source);
            let stronger = changed.or_else(|| by_function.then_some(Source::Request));
            stronger.filter(|_| is_set)
        };
        let switch = BySource {
            local: limit.values.local.switch.or(live.all.local),
            shared: limit.values.shared.switch.or(live.all.shared),
            file: None,
        };
        let values = &self.written;
        let by_setting = [
            ("rate", above(values.rate.is_some(), &|values| values.rate.is_some(), declared.rate.is_some())),
            ("cost", above(values.cost.is_some(), &|values| values.cost.is_some(), declared.cost.is_some())),
            ("enabled", values.switch.and_then(|_| switch.above(|switch| *switch)).map(|(_, source)| source)),
            ("dry_run", above(values.dry_run.is_some(), &|values| values.dry_run.is_some(), false)),
            ("override", self.client(limit, |client| client.rate.is_some())),
            ("block", self.client(limit, |client| client.block.is_some())),
            ("exempt", self.client(limit, |client| client.exempt.is_some())),
        ];
        let key = |name: &str| format!("{}.{}.{name}", self.table, written(&self.definition.uid)).into();
        let found = by_setting.into_iter().filter_map(|(name, source)| source.map(|source| (name, source)));
        found.map(|(name, source)| WithoutEffect { key: key(name), source }).collect()
    }

    /// Returns the stronger source that has a value of this kind for a client of the file.
    fn client(&self, limit: &LiveLimit, has: impl Fn(&ClientChange) -> bool) -> Option<Source> {
        let of = |clients: &ClientMap, key: &Key| clients.get(key).is_some_and(&has).then_some(());
        let keys = self.clients.iter().filter(|(_, client)| has(client)).map(|(key, _)| key);
        keys.filter_map(|key| limit.clients.above(|clients| of(clients, key))).map(|((), source)| source).next()
    }
}
