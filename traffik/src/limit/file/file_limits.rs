use std::sync::Arc;

use toml::{Spanned, value::Datetime};
use traffik_core::{
    client::{Client, Key},
    clock::{AnyClock, Timestamp},
    rate::Rate,
};

use super::{
    limits_file::{LimitsFile, written},
    tables::LimitTable,
    until::until,
};
use crate::{
    limit::{
        Definition, ThrottleTable,
        changes::{Block, ClientChange, ClientMap, Lasting, Live, Switch, Values},
        limits_file_error::LimitsFileError,
    },
    request::Applies,
};

/// The values of a limits file, which an app can use.
#[derive(Debug)]
pub(crate) struct FileLimits {
    pub(super) all: Option<Switch>,
    pub(super) limits: Vec<FileLimit>,
}

/// The values of one limit.
#[derive(Debug)]
pub(super) struct FileLimit {
    pub(super) definition: Arc<Definition>,
    pub(super) values: Values,
    pub(super) rules: Applies,
    pub(super) clients: ClientMap,
}

impl FileLimits {
    /// Checks a file against the limits of an app. `counted_as` returns the client as the app counts it.
    pub(crate) fn new(
        file: &LimitsFile,
        table: &ThrottleTable,
        counted_as: impl Fn(Client) -> Client,
        clock: &AnyClock,
    ) -> Result<Self, LimitsFileError> {
        if let Some((uid, _)) = file.tables.new.iter().next() {
            return Err(file.place(uid).error(
                "a file cannot make limits: declare a throttle with this uid, and change it with `[limit.\"uid\"]`",
            ));
        }
        let reader = Reader { file, table, counted_as: &counted_as, clock };
        let limits = file.tables.limit.iter().map(|(uid, limit)| reader.limit(uid, limit));
        let limits: Vec<_> = limits.collect::<Result<_, _>>()?;
        reader.check_start()?;
        Ok(Self { all: file.tables.enabled.map(Switch::from), limits })
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
}

struct Reader<'a> {
    file: &'a LimitsFile,
    table: &'a ThrottleTable,
    counted_as: &'a dyn Fn(Client) -> Client,
    clock: &'a AnyClock,
}

impl Reader<'_> {
    fn limit(&self, uid: &Spanned<String>, limit: &LimitTable) -> Result<FileLimit, LimitsFileError> {
        let found = self.table.by_uid(uid.get_ref());
        let (definition, _) = &found.map_err(|error| self.file.place(uid).error(error))?;
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
        let values = Values {
            rate: limit.rate.as_ref().map(|rate| self.rate(definition, rate)).transpose()?,
            cost: limit.cost.map(|cost| cost.0),
            switch: limit.enabled.map(Switch::from),
            dry_run: limit.dry_run,
            fields: limit.fields.map(Into::into),
        };
        Ok(FileLimit {
            definition: Arc::clone(definition),
            values,
            rules: self.rules(definition, limit)?,
            clients: self.clients(definition, limit)?,
        })
    }

    fn rate(&self, definition: &Definition, rate: &Spanned<Rate>) -> Result<Rate, LimitsFileError> {
        let checked = definition.check_changed_rate(*rate.get_ref());
        checked.map(|()| *rate.get_ref()).map_err(|error| self.file.place(rate).error(error))
    }

    fn rules(&self, definition: &Definition, limit: &LimitTable) -> Result<Applies, LimitsFileError> {
        const EMPTY: &str =
            "it has no condition: set at least one of `path`, `prefix`, `methods`, `networks`, `websocket`";
        let mut all = Applies::default();
        for table in &limit.rule {
            let rule = table.get_ref().rule().ok_or_else(|| self.file.place(table).error(EMPTY))?;
            all.add_rule(rule);
            definition.check_rules(&all).map_err(|error| self.file.place(table).error(error))?;
        }
        for table in &limit.bypass {
            let bypass = table.get_ref().bypass().ok_or_else(|| self.file.place(table).error(EMPTY))?;
            all.add_bypass(bypass);
            definition.check_rules(&all).map_err(|error| self.file.place(table).error(error))?;
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
        match self.table.start_settings.keys().find(|(uid, key)| !is_set(uid, key)) {
            None => Ok(()),
            Some((uid, key)) => Err(self.file.place_of_missing(format!("limit.{}.{key}", written(uid))).error(
                "it was set when the app started, and changes only when the app starts: write it again, or restart the app",
            )),
        }
    }
}
