//! The limits file of an app.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::{
    Admin,
    endpoint::{Answer, Body, Changer, Entry, NoQuery, Nothing},
};
use crate::{control::LimitsFileStatus, limit::ConfigError};

pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Answer<LimitsFileStatus> {
    Ok(Json(admin.traffik.limits_file_status().ok_or(ConfigError::NoLimitsFile)?))
}

pub(super) async fn reload(
    Changer { admin, operator }: Changer,
    _: NoQuery,
    _: Body<Nothing>,
) -> Answer<LimitsFileStatus> {
    let state = || admin.traffik.limits_file_status().ok_or(ConfigError::NoLimitsFile);
    let shown = |status: &LimitsFileStatus| {
        status.error().map_or_else(|| "in force".to_owned(), |error| format!("invalid: {error}"))
    };
    let before = state()?;
    let loaded = admin.traffik.reload_limits().await;
    let after = state()?;
    let (from, to) = (shown(&before), shown(&after));
    let entry = Entry::new(&operator, "limits_file", "reloaded");
    Entry { from: Some(&from), to: Some(&to), ..entry }.log(&loaded);
    loaded?;
    Ok(Json(after))
}
