//! The settings of limits, and limits that are values: added, replaced and removed.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    Admin,
    endpoint::{Answer, Body, Changer, Entry, Named, NoQuery, Nothing, Problem, Scope, Target, Uid},
};
use crate::{
    control::{Change, ClientInfo, LimitInfo, Setting},
    engine::Error,
    limit::{
        ConfigError, NewLimit,
        written::{Time, WrittenLimit},
    },
};

/// The limit after a change.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    scope: Scope,
    outlives_restart: bool,
    limit: LimitInfo,
}

/// The limits after a change of all of them.
#[derive(Debug, Serialize)]
pub(super) struct ChangedAll {
    scope: Scope,
    outlives_restart: bool,
    limits: Vec<LimitInfo>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DisableBody {
    #[serde(rename = "for")]
    time: Option<Time>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClearBody {
    setting: Option<Setting>,
}

pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Json<Vec<LimitInfo>> {
    Json(admin.traffik.limits())
}

pub(super) async fn one(Named(limit): Named) -> Answer<LimitInfo> {
    Ok(Json(limit.info()?))
}

pub(super) async fn clients(Named(limit): Named) -> Json<Vec<ClientInfo>> {
    Json(limit.clients())
}

pub(super) async fn change(target: Target, Body(change): Body<Change>) -> Answer<Changed> {
    let requested: Vec<_> = [
        (Setting::Rate, change.rate.map(|rate| rate.to_string())),
        (Setting::Cost, change.cost.map(|cost| cost.to_string())),
        (Setting::Enabled, change.enabled.map(|enabled| enabled.to_string())),
        (Setting::DryRun, change.dry_run.map(|dry_run| dry_run.to_string())),
    ]
    .into_iter()
    .filter_map(|(setting, value)| Some((setting, value?)))
    .collect();
    if requested.is_empty() {
        return Err(Problem::invalid("the change is empty: set at least one of `rate`, `cost`, `enabled`, `dry_run`"));
    }
    let changing = Changing::new(target, requested)?;
    let limit = &changing.target.limit;
    let changed = match changing.target.scope {
        Scope::Local => limit.apply(change).map_err(Error::from),
        Scope::Shared => limit.shared().apply(change).await,
    };
    changing.finish(changed)
}

pub(super) async fn disable(target: Target, Body(DisableBody { time }): Body<DisableBody>) -> Answer<Changed> {
    let Some(time) = time else { return change(target, Body(Change::new().enabled(false))).await };
    let value = format!("false {}", target.admin.end(Some(time), None)?.1);
    let changing = Changing::new(target, vec![(Setting::Enabled, value)])?;
    let changed = match changing.target.scope {
        Scope::Local => {
            changing.target.limit.disable_for(time.0);
            Ok(())
        }
        Scope::Shared => changing.target.limit.shared().disable_for(time.0).await,
    };
    changing.finish(changed)
}

pub(super) async fn enable(target: Target, _: Body<Nothing>) -> Answer<Changed> {
    change(target, Body(Change::new().enabled(true))).await
}

pub(super) async fn clear(target: Target, Body(ClearBody { setting }): Body<ClearBody>) -> Answer<Changed> {
    let scope = target.scope;
    let cleared = match setting {
        Some(Setting::Rules) if scope == Scope::Shared => {
            return Err(Problem::invalid("rules are never shared: clear those of this process with `scope=local`"));
        }
        Some(setting) => vec![setting],
        None => [Setting::Rate, Setting::Cost, Setting::Enabled, Setting::DryRun]
            .into_iter()
            .chain((scope == Scope::Local).then_some(Setting::Rules))
            .collect(),
    };
    let requested = cleared.into_iter().map(|setting| (setting, "cleared".to_owned())).collect();
    let changing = Changing::new(target, requested)?;
    let limit = &changing.target.limit;
    let changed = match (scope, setting) {
        (Scope::Local, setting) => {
            setting.map_or_else(|| limit.clear(), |setting| limit.clear_setting(setting));
            Ok(())
        }
        (Scope::Shared, Some(setting)) => limit.shared().clear_setting(setting).await,
        (Scope::Shared, None) => limit.shared().clear().await,
    };
    changing.finish(changed)
}

/// A change of some settings of a limit that an operator makes.
struct Changing {
    target: Target,
    /// Each setting and its new value.
    requested: Vec<(Setting, String)>,
    before: LimitInfo,
}

impl Changing {
    fn new(target: Target, requested: Vec<(Setting, String)>) -> Result<Self, Problem> {
        let before = target.limit.info()?;
        Ok(Self { target, requested, before })
    }

    /// Logs the change, and returns the limit as it is now.
    fn finish(self, changed: Result<(), Error>) -> Answer<Changed> {
        // The limit may have been removed meanwhile.
        let after = self.target.limit.info();
        for (setting, value) in &self.requested {
            let to = after.as_ref().map_or_else(|_| "none".to_owned(), |after| in_force(after, *setting));
            let from = in_force(&self.before, *setting);
            let entry = self.target.entry(name(*setting), value);
            Entry { from: Some(&from), to: Some(&to), ..entry }.log(&changed);
        }
        changed?;
        let outlives_restart = self.target.outlives_restart();
        Ok(Json(Changed { scope: self.target.scope, outlives_restart, limit: after? }))
    }
}

fn name(setting: Setting) -> &'static str {
    match setting {
        Setting::Rate => "rate",
        Setting::Cost => "cost",
        Setting::Enabled => "enabled",
        Setting::DryRun => "dry_run",
        Setting::Rules => "rules",
    }
}

fn in_force(limit: &LimitInfo, setting: Setting) -> String {
    match setting {
        Setting::Rate => limit.rate().value().to_string(),
        Setting::Cost => limit.cost().value().to_string(),
        Setting::Enabled => limit.enabled().value().to_string(),
        Setting::DryRun => limit.dry_run().value().to_string(),
        Setting::Rules => limit.added_rules().to_string(),
    }
}

pub(super) async fn disable_all(changer: Changer, scope: Scope, _: Body<Nothing>) -> Answer<ChangedAll> {
    let before = changer.admin.traffik.limits();
    let changed = match scope {
        Scope::Local => {
            changer.admin.traffik.disable_all();
            Ok(())
        }
        Scope::Shared => changer.admin.traffik.shared().disable_all().await,
    };
    changer.finish_all(scope, "disabled", &before, changed)
}

pub(super) async fn enable_all(changer: Changer, scope: Scope, _: Body<Nothing>) -> Answer<ChangedAll> {
    let before = changer.admin.traffik.limits();
    let changed = match scope {
        Scope::Local => {
            changer.admin.traffik.enable_all();
            Ok(())
        }
        Scope::Shared => changer.admin.traffik.shared().enable_all().await,
    };
    changer.finish_all(scope, "enabled", &before, changed)
}

pub(super) async fn clear_changes(changer: Changer, _: NoQuery, _: Body<Nothing>) -> Answer<ChangedAll> {
    let before = changer.admin.traffik.limits();
    changer.admin.traffik.clear_changes();
    changer.finish_all(Scope::Local, "cleared", &before, Ok(()))
}

impl Changer {
    /// Logs a change of all limits, and returns them as they are now.
    fn finish_all(
        &self,
        scope: Scope,
        value: &str,
        before: &[LimitInfo],
        changed: Result<(), Error>,
    ) -> Answer<ChangedAll> {
        let traffik = &self.admin.traffik;
        let limits = traffik.limits();
        let enabled = |limits: &[LimitInfo]| {
            let count = limits.iter().filter(|limit| limit.enabled().value()).count();
            format!("{count} of {} enabled", limits.len())
        };
        let (from, to) = (enabled(before), enabled(&limits));
        let entry = Entry::new(&self.operator, "all", value);
        Entry { scope: Some(scope), from: Some(&from), to: Some(&to), ..entry }.log(&changed);
        changed?;
        let outlives_restart = scope == Scope::Shared && traffik.shared().outlives_restart();
        Ok(Json(ChangedAll { scope, outlives_restart, limits }))
    }
}

/// What is left of a limit that was removed.
#[derive(Debug, Serialize)]
pub(super) struct Removed {
    scope: Scope,
    outlives_restart: bool,
    uid: Box<str>,
}

/// Adds a limit, or replaces it.
pub(super) async fn put(changer: Changer, Uid(uid): Uid, _: NoQuery, Body(new): Body<WrittenLimit>) -> Answer<Changed> {
    let (before, value) = (changer.summary_of(&uid), new.to_string());
    let name = "limit added by an operator".to_owned();
    let new = NewLimit::value(name, uid.as_str().into(), new.rate, new.settings());
    let put = changer.admin.traffik.put(new);
    changer.log_value(&uid, "put", &value, &before, &put);
    Ok(Json(Changed { scope: Scope::Local, outlives_restart: false, limit: put?.info()? }))
}

pub(super) async fn remove(changer: Changer, Uid(uid): Uid, _: NoQuery, _: Body<Nothing>) -> Answer<Removed> {
    let before = changer.summary_of(&uid);
    let removed = changer.admin.traffik.remove_limit(&uid);
    changer.log_value(&uid, "remove", "removed", &before, &removed);
    removed?;
    Ok(Json(Removed { scope: Scope::Local, outlives_restart: false, uid: uid.into() }))
}

impl Changer {
    /// Returns the rate and the strategy of a limit, and its cost and dry run where they are set, for the log.
    fn summary_of(&self, uid: &str) -> String {
        let Ok(limit) = self.admin.traffik.limit(uid).and_then(|limit| limit.info()) else { return "none".to_owned() };
        let mut text = format!("{}, strategy {}", limit.rate().value(), limit.strategy());
        if limit.cost().value() != 1 {
            text += &format!(", cost {}", limit.cost().value());
        }
        if limit.dry_run().value() {
            text += ", dry run";
        }
        text
    }

    fn log_value<T>(
        &self,
        uid: &str,
        change: &'static str,
        value: &str,
        before: &str,
        changed: &Result<T, ConfigError>,
    ) {
        let after = self.summary_of(uid);
        let entry = Entry {
            scope: Some(Scope::Local),
            uid: Some(uid),
            from: Some(before),
            to: Some(&after),
            ..Entry::new(&self.operator, change, value)
        };
        entry.log(changed);
    }
}
