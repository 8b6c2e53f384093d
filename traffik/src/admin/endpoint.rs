//! What the endpoints share: the parts of requests, problems, and the log of changes.

use std::{fmt, marker::PhantomData, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Query, RawPathParams, Request,
        rejection::{JsonRejection, QueryRejection, RawPathParamsRejection},
    },
    http::{HeaderValue, StatusCode, header::RETRY_AFTER, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{Admin, MAX_BODY, Operator, TARGET};
use crate::{control::LimitHandle, engine::Error, limit::ConfigError, web::plain_problem};

/// The answer of an endpoint.
pub(super) type Answer<T> = Result<Json<T>, Problem>;

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
pub(super) struct Changer {
    pub(super) admin: Arc<Admin>,
    pub(super) operator: Operator,
}

impl FromRequestParts<Arc<Admin>> for Changer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        match operator(parts)? {
            operator if operator.may_change() => Ok(Self { admin: Arc::clone(admin), operator: operator.clone() }),
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

/// The uid in the path.
pub(super) struct Uid(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Uid {
    type Rejection = Problem;

    /// The path at which the app nests the router may have parameters of its own, which come before.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, state).await?;
        let uid = parameters.iter().filter(|&(name, _)| name == "uid").last();
        let (_, uid) = uid.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "the path has no uid"))?;
        Ok(Self(uid.to_owned()))
    }
}

/// The limit in the path.
pub(super) struct Named(pub(super) LimitHandle);

impl FromRequestParts<Arc<Admin>> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let Uid(uid) = Uid::from_request_parts(parts, admin).await?;
        Ok(Self(admin.traffik.limit(&uid)?))
    }
}

/// What an operator changes: the limit in the path, in the scope of the query.
pub(super) struct Target {
    pub(super) admin: Arc<Admin>,
    operator: Operator,
    pub(super) scope: Scope,
    pub(super) limit: LimitHandle,
}

impl FromRequestParts<Arc<Admin>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let Changer { admin, operator } = Changer::from_request_parts(parts, admin).await?;
        let scope = Scope::from_request_parts(parts, &admin).await?;
        let Named(limit) = Named::from_request_parts(parts, &admin).await?;
        Ok(Self { admin, operator, scope, limit })
    }
}

impl Target {
    /// Returns an entry of the log about a change of the limit.
    pub(super) fn entry<'a>(&'a self, change: &'static str, value: &'a str) -> Entry<'a> {
        let entry = Entry::new(&self.operator, change, value);
        Entry { scope: Some(self.scope), uid: Some(self.limit.uid()), ..entry }
    }

    pub(super) fn outlives_restart(&self) -> bool {
        self.scope == Scope::Shared && self.limit.shared().outlives_restart()
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

/// The body, an object in JSON. No body is an empty object.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        let headers = std::mem::take(request.headers_mut());
        let body = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(status, format!("the body has more than {MAX_BODY} bytes: shorten it"))
            }
            status => Problem::new(status, rejection.body_text()),
        })?;
        // A body whose length is not declared may also be empty.
        let Json(Object(body)) = if body.is_empty() {
            Json::from_bytes(b"{}")?
        } else {
            let mut request = Request::new(body.into());
            *request.headers_mut() = headers;
            Json::from_request(request, state).await?
        };
        Ok(Self(body))
    }
}

/// A value that is written as an object. serde reads a struct also from an array.
struct Object<T>(T);

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// What is wrong with a request, or why it has no answer. The response is problem details (RFC 9457).
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// Creates the problem of a value that cannot be used.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::UnknownUid { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            #[cfg(feature = "file")]
            ConfigError::NoLimitsFile => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            ConfigError::DuplicateUid { uid, first, .. } => Self::new(
                StatusCode::CONFLICT,
                format!(
                    "the uid {uid:?} is that of `{first}`, which is no limit that was added: change its settings with `PATCH`, or \
                     choose another uid"
                ),
            ),
            ConfigError::NotAValue { .. } => Self::new(StatusCode::CONFLICT, error.to_string()),
            ConfigError::NoBackendChosen { uid, .. } => Self::invalid(format!(
                "each request of the limit {uid:?} chooses its backend: name one with `?backend=`. `GET /health` lists them"
            )),
            ConfigError::FixedBackend { uid, backend, .. } => {
                Self::invalid(format!("the limit {uid:?} is always in the backend {backend:?}: leave `?backend=` out"))
            }
            ConfigError::Backend(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            error => Self::invalid(error.to_string()),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Config(error) => error.into(),
            error => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}

/// Takes the status and the text of rejections of axum.
macro_rules! of_rejections {
    ($($rejection:ty),+) => {
        $(impl From<$rejection> for Problem {
            fn from(rejection: $rejection) -> Self {
                Self::new(rejection.status(), rejection.body_text())
            }
        })+
    };
}

of_rejections!(JsonRejection, QueryRejection, RawPathParamsRejection);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = plain_problem(self.status, &self.detail);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A change of an operator, for the log.
pub(super) struct Entry<'a> {
    pub(super) operator: &'a Operator,
    pub(super) scope: Option<Scope>,
    pub(super) uid: Option<&'a str>,
    pub(super) change: &'static str,
    /// The value that the operator sets.
    pub(super) value: &'a str,
    /// The digest of the client.
    pub(super) client: Option<&'a str>,
    /// What was in force before.
    pub(super) from: Option<&'a str>,
    /// What is in force now.
    pub(super) to: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// Creates an entry without the rest.
    pub(super) fn new(operator: &'a Operator, change: &'static str, value: &'a str) -> Self {
        Self { operator, scope: None, uid: None, change, value, client: None, from: None, to: None }
    }

    /// Logs that the change was made, or why it failed.
    pub(super) fn log<T, E: fmt::Display>(&self, changed: &Result<T, E>) {
        let Self { operator, scope, uid, change, value, client, from, to } = self;
        let (operator, scope) = (operator.name(), scope.map(tracing::field::display));
        match changed {
            Ok(_) => {
                tracing::info!(
                    target: TARGET, operator, uid, change, value, scope, client, from, to, "an operator made a change"
                );
            }
            Err(error) => {
                tracing::warn!(
                    target: TARGET, operator, uid, change, value, scope, client, from, to, %error,
                    "the change of an operator failed"
                );
            }
        }
    }
}
