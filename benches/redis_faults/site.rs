//! The place of a fault: a server, and a link to it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;
use traffik::clock::Timestamp;
use traffik_redis::{RedisBackend, RedisBackendBuilder};

use crate::{DEADLINE, Result, calls, link::Link, server::Server};

pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) link: Link,
    /// When the last server began, which has none of the earlier data.
    pub(crate) began: Began,
}

/// A moment, on the clocks of callers and of the server.
pub(crate) struct Began {
    pub(crate) here: Instant,
    pub(crate) there: Timestamp,
}

impl Site {
    pub(crate) async fn new(arguments: &[&str]) -> Result<Self> {
        let began = Began::now()?;
        let server = Server::start_with(arguments)?;
        let link = Link::to(server.port()).await?;
        Ok(Self { server, link, began })
    }

    /// Remembered refusals are disabled, so that every call reaches Redis.
    pub(crate) fn builder(&self, over_the_link: bool) -> RedisBackendBuilder {
        let url = if over_the_link { self.link.url() } else { self.server.url() };
        let builder = RedisBackend::builder(url).namespace("faults").refusal_max_age(Duration::ZERO);
        builder.command_timeout(DEADLINE)
    }

    pub(crate) async fn connect(&self, over_the_link: bool) -> Result<RedisBackend> {
        Ok(self.builder(over_the_link).connect().await?)
    }

    /// Starts the server again after it was killed. The old one may still answer for a moment.
    pub(crate) fn spawn(&mut self, arguments: &[&str]) -> Result {
        self.began = Began::now()?;
        self.server.spawn_with(arguments)
    }

    pub(crate) fn start_again(&mut self, arguments: &[&str]) -> Result {
        self.spawn(arguments)?;
        self.server.wait_until_it_answers()
    }

    /// Sends a command to the server.
    pub(crate) fn command(&self, words: &[&str]) -> Result {
        self.server.raw()?.call(words).map(drop)
    }

    /// Returns the number of calls that the server counted, once no abandoned call can be in flight.
    pub(crate) async fn executed_calls(&self) -> Result<u64> {
        sleep(DEADLINE + Duration::from_millis(1500)).await;
        calls::count(&self.connect(false).await?).await
    }
}

impl Began {
    fn now() -> Result<Self> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let there = Timestamp::from_micros(u64::try_from(since_epoch.as_micros())?);
        Ok(Self { here: Instant::now(), there })
    }
}
