//! The app: everything in one answer, and its backends.

use std::sync::Arc;

use axum::{Json, extract::State, http::request::Parts};
use serde::Serialize;

use super::{
    Admin, Operator,
    endpoint::{Answer, Body, NoQuery, Nothing, operator},
};
#[cfg(feature = "file")]
use crate::control::LimitsFileStatus;
use crate::{control::LimitInfo, health::Health};

/// What a page shows first.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    namespace: Box<str>,
    disabled: bool,
    operator: OperatorInfo,
    outlives_restart: Outliving,
    limits: Vec<LimitInfo>,
    health: Health,
    #[cfg(feature = "file")]
    limits_file: Option<LimitsFileStatus>,
    #[cfg(not(feature = "file"))]
    limits_file: Option<()>,
    lost_settlements: u64,
}

#[derive(Debug, Serialize)]
struct OperatorInfo {
    name: Box<str>,
    may_change: bool,
}

/// Whether the changes of each source outlive a restart of the process.
#[derive(Debug, Serialize)]
struct Outliving {
    local: bool,
    shared: bool,
    file: bool,
}

pub(super) async fn overview(State(admin): State<Arc<Admin>>, parts: Parts) -> Answer<Overview> {
    let (traffik, operator): (_, &Operator) = (&admin.traffik, operator(&parts)?);
    Ok(Json(Overview {
        namespace: traffik.namespace().into(),
        disabled: traffik.is_disabled(),
        operator: OperatorInfo { name: operator.name().into(), may_change: operator.may_change() },
        outlives_restart: Outliving { local: false, shared: traffik.shared().outlives_restart(), file: true },
        limits: traffik.limits(),
        health: traffik.health(),
        #[cfg(feature = "file")]
        limits_file: traffik.limits_file_status(),
        #[cfg(not(feature = "file"))]
        limits_file: None,
        lost_settlements: traffik.lost_settlements(),
    }))
}

pub(super) async fn health(State(admin): State<Arc<Admin>>) -> Json<Health> {
    Json(admin.traffik.health())
}

pub(super) async fn check_health(State(admin): State<Arc<Admin>>, _: NoQuery, _: Body<Nothing>) -> Json<Health> {
    Json(admin.traffik.check_health().await)
}

/// Reads the shared changes now.
pub(super) async fn refresh(State(admin): State<Arc<Admin>>, _: NoQuery, _: Body<Nothing>) -> Answer<Vec<LimitInfo>> {
    admin.traffik.shared().refresh().await?;
    Ok(Json(admin.traffik.limits()))
}
