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
    /// Where the apps are, and which processes.
    apps: Vec<(String, u32)>,
}

/// What came back.
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
        // The servers are on this machine, whatever the environment says of proxies.
        let client = Client::builder().no_proxy().timeout(PLENTY).build()?;
        Ok(Self { client, apps: apps.iter().map(|app| (app.url.clone(), app.process)).collect() })
    }

    /// The numbers of the apps, in turn, without end.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = usize> {
        (1..=self.apps.len()).cycle()
    }

    /// Asks one of the apps, and makes sure that it was the one that answered.
    pub(super) async fn ask(&self, app: usize, path: &str) -> Result<Answer, Box<dyn Error>> {
        let (url, process) = self.apps.get(app - 1).ok_or("there is no such app")?;
        let asked = Instant::now();
        let response = self.client.get(format!("{url}{path}")).send().await?;
        let (status, fields) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await?;
        let answer = Answer { app, status, fields, body, took: asked.elapsed() };
        expect("the process that answered", &answer.field("x-process"), &process.to_string().as_str())?;
        Ok(answer)
    }
}

impl Answer {
    /// The value of a field; nothing, if it is not there.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
