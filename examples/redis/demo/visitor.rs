//! A client of both apps.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use reqwest::{Client, header::HeaderMap};

use super::{App, PLENTY, expect};

#[derive(Clone)]
pub(super) struct Visitor {
    client: Client,
    /// The address and the process of each app.
    apps: Vec<(String, u32)>,
}

/// A response.
pub(super) struct Answer {
    /// The app that answered: 1 or 2.
    pub(super) app: usize,
    pub(super) status: u16,
    pub(super) fields: HeaderMap,
    pub(super) body: String,
    pub(super) took: Duration,
}

impl Visitor {
    pub(super) fn new(apps: &[App]) -> Result<Self, Box<dyn Error>> {
        // The servers are on this machine: ignore the proxies of the environment.
        let client = Client::builder().no_proxy().timeout(PLENTY).build()?;
        Ok(Self { client, apps: apps.iter().map(|app| (app.url.clone(), app.process)).collect() })
    }

    /// Returns the numbers of the apps in turn, without end.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = usize> {
        (1..=self.apps.len()).cycle()
    }

    /// Sends a request to one of the apps, and checks that this app answered.
    pub(super) async fn ask(&self, app: usize, path: &str) -> Result<Answer, Box<dyn Error>> {
        let (url, process) = self.apps.get(app - 1).ok_or("there is no such app")?;
        let began = Instant::now();
        let response = self.client.get(format!("{url}{path}")).send().await?;
        let (status, fields) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await?;
        let answer = Answer { app, status, fields, body, took: began.elapsed() };
        expect("the process that answered", &answer.field("x-process"), &process.to_string().as_str())?;
        Ok(answer)
    }
}

impl Answer {
    /// Returns the value of a field, or an empty text if it is missing.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
