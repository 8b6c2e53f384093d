//! Changes of limits over HTTP.

mod clients;
mod errors;
mod events;
mod file;
mod guards;
mod limits;
mod log;
mod over_tcp;
mod values;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, header::CONTENT_TYPE},
    response::Response,
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use traffik::{
    Throttles, Traffik,
    admin::{self, Guard},
    test::ManualClock,
};

use crate::http::app::builder;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const SECRET: &str = "0123456789abcdef";

/// An app that knows `T`, on a clock that the test moves, and its operator.
fn knowing<T: Throttles>() -> Result<(Traffik, Api, ManualClock)> {
    let (builder, clock) = builder();
    let traffik = builder.register::<T>().build()?;
    let api = Api::new(&traffik)?;
    Ok((traffik, api, clock))
}

/// The admin router, without a socket.
#[derive(Clone)]
struct Api {
    router: Router,
    authorization: Option<String>,
}

/// A response with a body of JSON.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Api {
    /// Returns the router with an operator who may make changes.
    fn new(traffik: &Traffik) -> Result<Self> {
        Ok(Self::behind(traffik, Guard::bearer(SECRET)?).with_token(SECRET))
    }

    fn behind(traffik: &Traffik, guard: Guard) -> Self {
        let router = Router::new().nest("/admin", admin::router(traffik, guard)).layer(traffik.layer());
        Self { router, authorization: None }
    }

    fn with_token(&self, token: &str) -> Self {
        Self { authorization: Some(format!("Bearer {token}")), ..self.clone() }
    }

    async fn get(&self, path: &str) -> Result<Reply> {
        self.reply(Request::get(format!("/admin{path}")), "").await
    }

    async fn post(&self, path: &str, body: &str) -> Result<Reply> {
        self.reply(Request::post(format!("/admin{path}")), body).await
    }

    async fn patch(&self, path: &str, body: &str) -> Result<Reply> {
        self.reply(Request::patch(format!("/admin{path}")), body).await
    }

    async fn put(&self, path: &str, body: &str) -> Result<Reply> {
        self.reply(Request::put(format!("/admin{path}")), body).await
    }

    async fn delete(&self, path: &str) -> Result<Reply> {
        self.reply(Request::delete(format!("/admin{path}")), "").await
    }

    async fn reply(&self, request: axum::http::request::Builder, body: &str) -> Result<Reply> {
        let (parts, body) = self.send(request, body).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let reply =
            Reply { status: parts.status.as_u16(), headers: parts.headers, body: serde_json::from_slice(&body)? };
        let is_problem = reply.status >= 400;
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let kind = if is_problem { "application/problem+json" } else { "application/json" };
        assert_eq!(reply.header("content-type"), Some(kind));
        Ok(reply)
    }

    async fn send(&self, mut request: axum::http::request::Builder, body: &str) -> Result<Response> {
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let Ok(response) = self.router.clone().oneshot(request.body(Body::from(body.to_owned()))?).await;
        Ok(response)
    }
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the text of a problem, and its status.
    fn problem(&self) -> (u16, &str) {
        let member = |name: &str| self.body.get(name);
        assert_eq!(member("status").and_then(Value::as_u64), Some(self.status.into()));
        (self.status, member("detail").and_then(Value::as_str).unwrap_or_default())
    }
}
