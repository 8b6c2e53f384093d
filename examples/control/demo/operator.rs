//! An operator of both apps, who is also a client of them.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::time::sleep;

use super::{App, PLENTY, TOKEN, expect};

#[derive(Clone)]
pub(super) struct Operator {
    client: Client,
    urls: Vec<String>,
}

/// The response of a limited route.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The `RateLimit-Policy` field.
    pub(super) policy: String,
    /// The `Retry-After` field, in seconds.
    pub(super) retry_after: Option<u64>,
}

impl Operator {
    pub(super) fn new(apps: &[App]) -> Result<Self, Box<dyn Error>> {
        // The servers are on this machine: ignore the proxies of the environment.
        let client = Client::builder().no_proxy().timeout(PLENTY).build()?;
        Ok(Self { client, urls: apps.iter().map(|app| app.url.clone()).collect() })
    }

    /// Requests a limited route of app 1 or 2.
    pub(super) async fn get(&self, app: usize, path: &str) -> Result<Answer, Box<dyn Error>> {
        let response = self.client.get(self.url(app, path)?).send().await?;
        let field = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Answer {
            status: response.status().as_u16(),
            policy: field("ratelimit-policy").to_owned(),
            retry_after: field("retry-after").parse().ok(),
        })
    }

    /// Returns a member of what an app shows to the operator, by its pointer (RFC 6901).
    pub(super) async fn show(&self, app: usize, path: &str, pointer: &str) -> Result<Value, Box<dyn Error>> {
        let response = self.send(app, Method::GET, path, "").await?;
        let shown: Value = serde_json::from_str(&response.text().await?)?;
        Ok(shown.pointer(pointer).ok_or_else(|| format!("there is no {pointer} at {path}"))?.clone())
    }

    /// Makes a change through an app.
    pub(super) async fn change(
        &self,
        app: usize,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<(), Box<dyn Error>> {
        println!("  {method} {path} {body}   through app {app}");
        let response = self.send(app, method, path, body).await?;
        expect("the status of a change", &response.status().as_u16(), &200)
    }

    async fn send(&self, app: usize, method: Method, path: &str, body: &str) -> Result<Response, Box<dyn Error>> {
        let request = self.client.request(method, self.url(app, path)?);
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        Ok(request.header("content-type", "application/json").body(body.to_owned()).send().await?)
    }

    fn url(&self, app: usize, path: &str) -> Result<String, Box<dyn Error>> {
        Ok(format!("{}{path}", self.urls.get(app - 1).ok_or("there is no such app")?))
    }
}

/// Waits until a change is in force, and returns how long that took.
pub(super) async fn until<E>(what: &str, is_so: impl AsyncFn() -> Result<bool, E>) -> Result<Duration, Box<dyn Error>>
where
    Box<dyn Error>: From<E>,
{
    let began = Instant::now();
    while !is_so().await? {
        if began.elapsed() > PLENTY {
            return Err(format!("not so after {PLENTY:?}: {what}").into());
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(began.elapsed())
}
