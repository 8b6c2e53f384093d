//! The server time of a decision, as the server reports it.

use std::time::Duration;

use traffik::{
    Rate,
    client::Key,
    clock::Timestamp,
    strategy::{AnyStrategy, SlidingWindowLog},
    test::ManualClock,
};
use traffik_redis::RedisBackend;

use crate::{LENGTHS, Result, connect, decide, raw::Raw, server::Server, strategies};

const CALLS: u32 = 5000;

pub(crate) async fn run() -> Result {
    println!("Server time for a decision, in µs:\n");
    println!("| strategy | admitted | refused | at two rates in turn |\n|---|---|---|---|");
    let server = Server::start()?;
    let backend = connect(&server).await?;
    for (name, strategy) in strategies() {
        let mut row = Row::new(&server, &backend, strategy, Rate::literal("100/min"))?;
        let admitted = row.time(Row::charge_after_an_interval).await?;
        let refused = row.time(Row::refuse).await?;
        println!("| {name} | {admitted:.1} | {refused:.1} | |");
    }
    for length in LENGTHS {
        let rate = Rate::new(length, Duration::from_secs(86_400))?;
        let mut row = Row::new(&server, &backend, SlidingWindowLog.into(), rate)?;
        row.fill().await?;
        let admitted = row.time(Row::charge_after_an_interval).await?;
        let refused = row.time(Row::refuse).await?;
        let at_two_rates = row.time(Row::charge_at_two_rates_in_turn).await?;
        println!("| SlidingWindowLog of {length} | {admitted:.1} | {refused:.1} | {at_two_rates:.1} |");
    }
    println!();
    Ok(())
}

/// One client, on a manual clock.
struct Row {
    raw: Raw,
    backend: RedisBackend,
    clock: ManualClock,
    key: Key,
    strategy: AnyStrategy,
    rate: Rate,
    is_other: bool,
}

impl Row {
    fn new(server: &Server, backend: &RedisBackend, strategy: AnyStrategy, rate: Rate) -> Result<Self> {
        let clock = ManualClock::at(Timestamp::from_micros(1_760_000_000_000_000));
        let backend = backend.by_hand(clock.clone());
        Ok(Self {
            raw: server.raw()?,
            backend,
            clock,
            key: Key::from(("client", rate.limit())),
            strategy,
            rate,
            is_other: false,
        })
    }

    fn interval(&self) -> Duration {
        Duration::from_micros(self.rate.period_micros().div_ceil(self.rate.limit()))
    }

    /// Charges as much as the limit, each at a different time.
    async fn fill(&mut self) -> Result {
        for _ in 0..self.rate.limit() {
            self.charge_after_an_interval().await?;
        }
        Ok(())
    }

    async fn charge_after_an_interval(&mut self) -> Result {
        self.clock.advance(self.interval());
        decide(&self.backend, &self.key, &self.strategy, self.rate, 1).await.map(drop)
    }

    async fn refuse(&mut self) -> Result {
        let is_admitted = decide(&self.backend, &self.key, &self.strategy, self.rate, self.rate.limit() + 1).await?;
        if is_admitted { Err("it was admitted".into()) } else { Ok(()) }
    }

    /// Charges at two rates in turn, like two releases that run at the same time. The charge with the shorter period
    /// expires before the existing ones, which is the only slow case.
    async fn charge_at_two_rates_in_turn(&mut self) -> Result {
        self.clock.advance(self.interval());
        self.is_other = !self.is_other;
        let period = if self.is_other { self.rate.period() / 2 } else { self.rate.period() };
        decide(&self.backend, &self.key, &self.strategy, Rate::new(self.rate.limit(), period)?, 1).await.map(drop)
    }

    /// Returns the average microseconds of one call.
    async fn time(&mut self, one: impl AsyncFn(&mut Self) -> Result) -> Result<f64> {
        one(self).await?;
        self.raw.call(&["CONFIG", "RESETSTAT"])?;
        for _ in 0..CALLS {
            one(self).await?;
        }
        let stats = self.raw.call(&["INFO", "commandstats"])?.text();
        let evalsha = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).ok_or("no figure")?;
        let figure = evalsha.split("usec=").nth(1).and_then(|rest| rest.split(',').next());
        // One decision may take several calls.
        Ok(figure.ok_or("no figure")?.parse::<f64>()? / f64::from(CALLS))
    }
}
