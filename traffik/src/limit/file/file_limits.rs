use std::{collections::HashMap, fmt, sync::Arc};

use toml::{Spanned, value::Datetime};
use traffik_core::{
    client::{Client, Key},
    clock::{AnyClock, Timestamp},
    rate::Rate,
};

use super::{
    LimitsFile,
    tables::{ConditionTable, LimitTable, MethodName, Texts},
    written,
};
use crate::{
    limit::{
        Definition, KnownBy, NewLimit, Settings, ThrottleTable,
        changes::{Block, ClientChange, ClientMap, Lasting, Live, LiveLimit, Source, Switch, Until, Values},
        limits_file_error::{LimitsFileError, Place},
        written::{Moment, StrategyTable},
    },
    request::Applies,
    warning::WarningLog,
};

/// The values of a limits file, which an app can use.
#[derive(Debug)]
pub(crate) struct FileLimits {
    all: Option<Switch>,
    limits: Vec<FileLimit>,
    /// The limits that the file makes.
    pub(crate) made: Vec<MadeLimit>,
}

/// A limit that a file makes.
#[derive(Clone, Debug)]
pub(crate) struct MadeLimit {
    pub(crate) definition: Arc<Definition>,
    /// What the file says of it.
    table: LimitTable,
}

/// The values of one limit.
#[derive(Debug)]
struct FileLimit {
    definition: Arc<Definition>,
    /// The name of its table: `limit`, or `new` if the file makes it.
    table: &'static str,
    /// What the file sets.
    written: Values,
    /// What of that changes the limit. The definition has the other values of a limit that the file makes.
    values: Values,
    rules: Applies,
    clients: ClientMap,
}

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
    /// Checks a file against the limits of an app. `before` are the limits that the file made when it was loaded last, and
    /// `counted_as` returns the client as the app counts it.
    pub(crate) fn new(
        file: &LimitsFile,
        table: &ThrottleTable,
        before: &[MadeLimit],
        counted_as: impl Fn(Client) -> Client,
        clock: &AnyClock,
    ) -> Result<Self, LimitsFileError> {
        let before = before.iter().map(|made| (&*made.definition.uid, made)).collect();
        let reader = Reader { file, table, before, counted_as: &counted_as, clock };
        let limits = file.tables.limit.iter().map(|(uid, limit)| reader.limit(uid, limit));
        let mut limits: Vec<_> = limits.collect::<Result<_, _>>()?;
        reader.check_start()?;
        let mut made = Vec::new();
        for (uid, table) in &file.tables.new {
            let new = reader.new_limit(uid, table)?;
            limits.push(reader.made(&new)?);
            made.push(new);
        }
        Ok(Self { all: file.tables.enabled.map(Switch::from), limits, made })
    }

    /// Replaces the values of the file that is in force.
    pub(crate) fn put_into(&self, live: &mut Live) {
        live.all.file = self.all;
        live.for_each(|limit| {
            limit.values.file = Values::default();
            limit.file_rules = Applies::default();
            limit.clients.file = ClientMap::default();
        });
        for limit in &self.limits {
            let of = live.of_mut(&limit.definition.uid);
            of.values.file = limit.values.clone();
            of.file_rules = limit.rules.clone();
            of.clients.file = limit.clients.clone();
        }
    }

    /// Warns of costs that their limits never admit.
    pub(crate) fn warn_of_costs(&self, live: &Live, warnings: &WarningLog) {
        self.limits.iter().for_each(|limit| limit.definition.warn_of_changed_cost(live, warnings));
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
        let switch = limit.values.map(|values| values.switch).or(live.all);
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

struct Reader<'a> {
    file: &'a LimitsFile,
    table: &'a ThrottleTable,
    before: HashMap<&'a str, &'a MadeLimit>,
    counted_as: &'a dyn Fn(Client) -> Client,
    clock: &'a AnyClock,
}

impl Reader<'_> {
    /// Makes a limit, unless it is as it was.
    fn new_limit(&self, uid: &Spanned<String>, table: &LimitTable) -> Result<MadeLimit, LimitsFileError> {
        let missing = |reason: &str| Err(self.file.place(uid).error(reason));
        let Some(rate) = &table.rate else {
            return missing("`rate` is missing: write the rate of the limit, such as \"20/min\"");
        };
        let Some(path) = &table.path else {
            return missing(
                "`path` is missing: write the paths that the limit applies to, such as \"/search\" or \"/api/**\"",
            );
        };
        // It has no line, because finding one takes a while.
        let name = format!("[new] in {}", self.file.path.display());
        self.table.check_uid(uid.get_ref(), &name, KnownBy::File).map_err(|error| self.file.place(uid).error(error))?;
        if let Some(same) = self.before.get(uid.get_ref().as_str()).filter(|before| before.table == *table) {
            return Ok(MadeLimit::clone(same));
        }
        let methods = table.methods.as_ref().map(Spanned::get_ref);
        let settings = self.settings(path, methods, table)?;
        let new = NewLimit::value(name, uid.get_ref().as_str().into(), *rate.get_ref(), settings);
        // What can be wrong now is how values go together.
        let place = || {
            let strategy = table.strategy.as_ref().map(|strategy| self.file.place(strategy));
            strategy.or(table.penalty.as_ref().map(|penalty| self.file.place(penalty))).unwrap_or(self.file.place(rate))
        };
        let definition = self.table.define(new).map_err(|error| place().error(error))?;
        Ok(MadeLimit { definition: Arc::new(definition), table: table.clone() })
    }

    /// Returns the settings of a limit that the file makes.
    fn settings(
        &self,
        path: &Spanned<Texts>,
        methods: Option<&Vec<MethodName>>,
        table: &LimitTable,
    ) -> Result<Settings, LimitsFileError> {
        let mut settings = Settings::new();
        if let Some(rule) = ConditionTable::of(path.get_ref(), methods).rule() {
            settings = settings.rule(rule);
        }
        settings.request.applies.check().map_err(|error| self.file.place(path).error(error))?;
        let added = self.rules(table, |added| {
            let mut all = settings.request.applies.clone();
            all.add_all(added);
            all.check().map_err(|error| error.to_string())
        })?;
        settings.request.applies.add_all(&added);
        if let Some(StrategyTable { strategy, .. }) = table.strategy.as_ref().map(Spanned::get_ref) {
            settings.strategy = strategy.clone();
        }
        settings.penalty = table.penalty.as_ref().map(|penalty| penalty.get_ref().settings());
        settings.cost = table.cost.map_or(settings.cost, |cost| cost.0);
        settings.request.is_dry_run = table.dry_run.unwrap_or_default();
        settings.request.fields = table.fields.map(Into::into);
        Ok(settings)
    }

    /// Returns the values of a limit that the file makes.
    fn made(&self, MadeLimit { definition, table }: &MadeLimit) -> Result<FileLimit, LimitsFileError> {
        let written = self.values(definition, table)?;
        Ok(FileLimit {
            definition: Arc::clone(definition),
            table: "new",
            values: Values { switch: written.switch, ..Values::default() },
            written,
            rules: Applies::default(),
            clients: self.clients(definition, table)?,
        })
    }

    fn limit(&self, uid: &Spanned<String>, limit: &LimitTable) -> Result<FileLimit, LimitsFileError> {
        let is_made = self.file.tables.new.contains_key(uid);
        if is_made {
            return Err(self.file.place(uid).error("the file makes this limit: write its values in `[new.\"uid\"]`"));
        }
        let of_new = limit.path.as_ref().map(|path| self.file.place(path));
        if let Some(place) = of_new.or(limit.methods.as_ref().map(|methods| self.file.place(methods))) {
            return Err(place.error(
                "it is for limits that the file makes, in `[new.\"uid\"]`: write a condition in `[[limit.\"uid\".rule]]`",
            ));
        }
        let found = self.table.by_uid(uid.get_ref());
        let (definition, known_by) = &found.map_err(|error| self.file.place(uid).error(error))?;
        if *known_by == KnownBy::File {
            return Err(self.file.place(uid).error("no `[new.\"uid\"]` makes this limit any more: remove the table"));
        }
        let (start, settings) = (self.file.start_of(limit), &definition.settings);
        let changed = [
            start.strategy.filter(|(strategy, _)| *strategy != settings.strategy).map(|(_, place)| place),
            start.penalty.filter(|(penalty, _)| Some(*penalty) != settings.penalty).map(|(_, place)| place),
        ];
        if let Some(place) = changed.into_iter().flatten().next() {
            return Err(place.error(
                "strategies and penalties change only when the app starts, because clients would start fresh: restart the app",
            ));
        }
        let written = self.values(definition, limit)?;
        Ok(FileLimit {
            definition: Arc::clone(definition),
            table: "limit",
            values: written.clone(),
            written,
            rules: self.rules(limit, |added| definition.check_rules(added).map_err(|error| error.to_string()))?,
            clients: self.clients(definition, limit)?,
        })
    }

    fn values(&self, definition: &Definition, limit: &LimitTable) -> Result<Values, LimitsFileError> {
        Ok(Values {
            rate: limit.rate.as_ref().map(|rate| self.rate(definition, rate)).transpose()?,
            cost: limit.cost.map(|cost| cost.0),
            switch: limit.enabled.map(Switch::from),
            dry_run: limit.dry_run,
            fields: limit.fields.map(Into::into),
        })
    }

    fn rate(&self, definition: &Definition, rate: &Spanned<Rate>) -> Result<Rate, LimitsFileError> {
        let checked = definition.check_changed_rate(*rate.get_ref());
        checked.map(|()| *rate.get_ref()).map_err(|error| self.file.place(rate).error(error))
    }

    /// Returns the rules that are added to those that a limit has. `check` checks them together.
    fn rules(
        &self,
        limit: &LimitTable,
        check: impl Fn(&Applies) -> Result<(), String>,
    ) -> Result<Applies, LimitsFileError> {
        const EMPTY: &str =
            "it has no condition: set at least one of `path`, `prefix`, `methods`, `networks`, `websocket`";
        let mut all = Applies::default();
        let check = |added: &Applies, table: &Spanned<ConditionTable>| {
            check(added).map_err(|reason| self.file.place(table).error(reason))
        };
        for table in &limit.rule {
            let rule = table.get_ref().rule().ok_or_else(|| self.file.place(table).error(EMPTY))?;
            all.add_rule(rule);
            check(&all, table)?;
        }
        for table in &limit.bypass {
            let bypass = table.get_ref().bypass().ok_or_else(|| self.file.place(table).error(EMPTY))?;
            all.add_bypass(bypass);
            check(&all, table)?;
        }
        Ok(all)
    }

    fn clients(&self, definition: &Definition, limit: &LimitTable) -> Result<ClientMap, LimitsFileError> {
        let mut clients = ClientMap::default();
        for table in limit.overrides.iter().map(Spanned::get_ref) {
            let rate = Lasting { value: self.rate(definition, &table.rate)?, until: self.end(table.until.as_ref())? };
            self.add(&mut clients, &table.client, |client| client.rate.replace(rate).is_some())?;
        }
        for table in limit.block.iter().map(Spanned::get_ref) {
            let until = self.end(table.until.as_ref())?;
            let block = Arc::new(Block { until, reason: table.reason.as_str().into() });
            self.add(&mut clients, &table.client, |client| client.block.replace(block).is_some())?;
        }
        for table in limit.exempt.iter().map(Spanned::get_ref) {
            let exempt = Lasting { value: (), until: self.end(table.until.as_ref())? };
            self.add(&mut clients, &table.client, |client| client.exempt.replace(exempt).is_some())?;
        }
        Ok(clients)
    }

    /// Sets a value of a client. `set` returns `true` if it had one.
    fn add(
        &self,
        clients: &mut ClientMap,
        text: &Spanned<String>,
        set: impl FnOnce(&mut ClientChange) -> bool,
    ) -> Result<(), LimitsFileError> {
        let error = |reason: &dyn std::fmt::Display| Err(self.file.place(text).error(reason));
        let key = match text.get_ref().parse::<Key>() {
            Ok(key) => (self.counted_as)(key.into()).key().cloned(),
            Err(wrong) => return error(&wrong),
        };
        let Some(key) = key else { return error(&"this client is exempt, so it has no limit to change") };
        if clients.change(key, set) {
            return error(&"the client is in another table of this kind: keep one of them");
        }
        if clients.len() > ClientMap::MAX {
            return error(&format_args!("at most {} clients can have changes in a file", ClientMap::MAX));
        }
        Ok(())
    }

    fn end(&self, end: Option<&Spanned<Datetime>>) -> Result<Option<Timestamp>, LimitsFileError> {
        let Some(end) = end else { return Ok(None) };
        let until = until(end.get_ref()).map_err(|reason| self.file.place(end).error(reason))?;
        Ok(until.end(self.clock))
    }

    /// Checks that what holds from the start is still set.
    fn check_start(&self) -> Result<(), LimitsFileError> {
        let is_set = |uid: &str, key: &str| {
            let limit = self.file.tables.limit.get(uid);
            limit.is_some_and(|limit| match key {
                "strategy" => limit.strategy.is_some(),
                _ => limit.penalty.is_some(),
            })
        };
        // A limit that the app has removed needs no settings.
        let is_known = |uid: &str| self.table.by_uid(uid).is_ok();
        match self.table.start_settings.keys().find(|(uid, key)| !is_set(uid, key) && is_known(uid)) {
            None => Ok(()),
            Some((uid, key)) => {
                let key = Some(format!("limit.{}.{key}", written(uid)).into());
                Err(Place { key, ..Place::file(&self.file.path) }.error(
                    "it was set when the app started, and changes only when the app starts: write it again, or restart the app",
                ))
            }
        }
    }
}

/// Returns the end of a change, or what is wrong with it.
fn until(end: &Datetime) -> Result<Until, String> {
    Moment::try_from(end.to_string()).map(|moment| Until::At(moment.0))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn end_is_a_moment() {
        let end = "2030-01-31 20:00+02:00".parse().unwrap();
        assert_eq!(until(&end), Ok(Until::At(SystemTime::UNIX_EPOCH + Duration::from_secs(1_896_112_800))));
        assert!(until(&"18:00:00".parse().unwrap()).unwrap_err().contains("date, time and offset"));
    }
}
