//! Sends requests at a steady pace, without waiting for earlier ones.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use reqwest::Client;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    PLENTY,
    phase::{Answer, Phase},
};
use crate::decided_by;

const BETWEEN_REQUESTS: Duration = Duration::from_millis(5);

pub(super) struct Load {
    client: Client,
    urls: [String; 2],
    sent: usize,
}

impl Load {
    pub(super) fn new(address: &str) -> Result<Self, Box<dyn Error>> {
        // The server is on this machine: ignore the proxies of the environment.
        let client = Client::builder().no_proxy().timeout(PLENTY).build()?;
        Ok(Self { client, urls: ["items", "reports"].map(|path| format!("http://{address}/{path}")), sent: 0 })
    }

    pub(super) async fn for_a(&mut self, time: Duration) -> Result<Phase, Box<dyn Error>> {
        let began = Instant::now();
        self.until(|| began.elapsed() >= time).await
    }

    /// Sends requests until `is_over` holds. A request without a response is an error.
    pub(super) async fn until(&mut self, is_over: impl Fn() -> bool) -> Result<Phase, Box<dyn Error>> {
        let (mut asking, mut pace) = (JoinSet::new(), interval(BETWEEN_REQUESTS));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !is_over() {
            pace.tick().await;
            let url = self.urls.iter().cycle().nth(self.sent % 2).ok_or("there is no URL")?.clone();
            self.sent += 1;
            asking.spawn(ask(self.client.clone(), url));
        }
        let answers: Result<Vec<_>, _> = asking.join_all().await.into_iter().collect();
        answers.map(Phase::new).map_err(|error| format!("a request was lost: {error}").into())
    }
}

async fn ask(client: Client, url: String) -> Result<Answer, reqwest::Error> {
    let began = Instant::now();
    let response = client.get(url).send().await?;
    let decided_by = response.headers().get(decided_by::NAME).and_then(|value| value.to_str().ok());
    let (status, decided_by) = (response.status().as_u16(), decided_by.unwrap_or_default().to_owned());
    response.bytes().await?;
    Ok(Answer { status, decided_by, took: began.elapsed() })
}
