//! Parts of requests.

use std::{fmt, sync::Arc};

use axum::{
    Json,
    body::HttpBody,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Admin, Operator, problem::Problem};
use crate::control::LimitHandle;

/// Where a change holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    /// In this process.
    Local,
    /// In all processes on the backend.
    #[default]
    Shared,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeQuery {
    #[serde(default)]
    scope: Scope,
}

impl<S: Sync> FromRequestParts<S> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(query::<ScopeQuery>(parts)?.scope)
    }
}

/// A query or a body without anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The query of a request that has none.
pub(super) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Nothing {} = query(parts)?;
        Ok(Self)
    }
}

/// Returns the query of a request.
pub(super) fn query<T: DeserializeOwned>(parts: &Parts) -> Result<T, Problem> {
    let Query(query) = Query::try_from_uri(&parts.uri)?;
    Ok(query)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Shared => "shared",
        })
    }
}

/// An operator who may make changes.
pub(super) struct Changer(pub(super) Operator);

impl<S: Sync> FromRequestParts<S> for Changer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match operator(parts)? {
            operator if operator.may_change() => Ok(Self(operator.clone())),
            operator => Err(Problem::new(
                StatusCode::FORBIDDEN,
                format!("the operator {:?} may read, and make no changes", operator.name()),
            )),
        }
    }
}

/// Returns the operator, which the guard has added.
pub(super) fn operator(parts: &Parts) -> Result<&Operator, Problem> {
    let operator = parts.extensions.get::<Operator>();
    operator.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "the request did not pass a guard"))
}

/// The limit in the path.
pub(super) struct Named(pub(super) LimitHandle);

impl FromRequestParts<Arc<Admin>> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let Path(uid) = Path::<String>::from_request_parts(parts, admin).await?;
        Ok(Self(admin.traffik.limit(&uid)?))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendQuery {
    backend: Option<String>,
}

/// The limit in the path, in the backend that the query names.
pub(super) struct NamedInBackend(pub(super) LimitHandle);

impl FromRequestParts<Arc<Admin>> for NamedInBackend {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let Named(limit) = Named::from_request_parts(parts, admin).await?;
        Ok(Self(match query::<BackendQuery>(parts)?.backend {
            Some(name) => limit.in_backend(&name)?,
            None => limit,
        }))
    }
}

/// The body, in JSON. No body is an empty object.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(body) = if request.body().is_end_stream() {
            Json::from_bytes(b"{}")?
        } else {
            Json::from_request(request, state).await?
        };
        Ok(Self(body))
    }
}
