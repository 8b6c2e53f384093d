//! The effect of the same faults on clients of an app with failover, over TCP.

mod app;
mod client;
mod promises;
mod row;
mod stalls;

use std::time::Duration;

use tokio::time::sleep;

use self::{app::App, client::Client, stalls::Stalls};
pub(crate) use self::{
    promises::broken,
    row::{HEAD, Row},
};
use crate::{
    BEFORE, Result,
    faults::Fault,
    load::{CALLERS, Load},
    site::Site,
};

/// The time without a fault at the end. A busy machine may need it until the primary decides again.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// Runs one fault, with load before and after it.
pub(crate) async fn undergo(fault: Fault) -> Result<Row> {
    let mut site = Site::new(fault.arguments()).await?;
    fault.prepare(&mut site)?;
    let builder = site.builder(fault.is_of_the_link());
    let redis = if fault.is_there_at_the_start() { builder.connect_lazy()? } else { builder.connect().await? };
    let app = App::serve(redis.clone()).await?;
    let stalls = Stalls::watch()?;
    let load = Load::begin((0..CALLERS).map(|number| Client::new(&app, number)));
    sleep(BEFORE).await;
    let back = fault.happen(&mut site, &redis).await?;
    sleep(AFTERWARDS).await;
    let answers = load.end().await?;
    let row = Row::new(fault, &answers, back, stalls.in_all());
    app.close().await?;
    Ok(row)
}
