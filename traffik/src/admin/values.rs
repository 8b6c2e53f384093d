//! Limits that are values: added, replaced and removed.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;

use super::{
    Admin, Operator,
    extract::{Body, Changer, NoQuery, Nothing, Scope},
    limits::Changed,
    log::Entry,
    problem::Problem,
};
use crate::limit::{ConfigError, NewLimit, written::WrittenLimit};

/// What is left of a limit that was removed.
#[derive(Debug, Serialize)]
pub(super) struct Removed {
    scope: Scope,
    outlives_restart: bool,
    uid: Box<str>,
}

/// Adds a limit, or replaces it.
pub(super) async fn put(
    State(admin): State<Arc<Admin>>,
    Changer(operator): Changer,
    Path(uid): Path<String>,
    _: NoQuery,
    Body(new): Body<WrittenLimit>,
) -> Result<Json<Changed>, Problem> {
    let (before, value) = (admin.summary_of(&uid), new.to_string());
    let name = "limit added by an operator".to_owned();
    let new = NewLimit::value(name, uid.as_str().into(), new.rate, new.settings());
    let put = admin.traffik.put(new);
    admin.log_value(&operator, &uid, "put", &value, &before, &put);
    Ok(Json(Changed { scope: Scope::Local, outlives_restart: false, limit: put?.info()? }))
}

pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    Changer(operator): Changer,
    Path(uid): Path<String>,
    _: NoQuery,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Removed>, Problem> {
    let before = admin.summary_of(&uid);
    let removed = admin.traffik.remove_limit(&uid);
    admin.log_value(&operator, &uid, "remove", "removed", &before, &removed);
    removed?;
    Ok(Json(Removed { scope: Scope::Local, outlives_restart: false, uid: uid.into() }))
}

impl Admin {
    /// Returns the rate and the strategy of a limit, and its cost and dry run where they are set, for the log.
    fn summary_of(&self, uid: &str) -> String {
        let Ok(limit) = self.traffik.limit(uid).and_then(|limit| limit.info()) else { return "none".to_owned() };
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
        operator: &Operator,
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
            ..Entry::new(operator, change, value)
        };
        entry.log(changed);
    }
}
