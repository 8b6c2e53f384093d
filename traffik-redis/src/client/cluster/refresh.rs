use std::{error::Error, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::time::{sleep, timeout};

use super::{
    slot_map::SlotMap,
    slots::{self, Share},
};
use crate::client::{
    Sent,
    command::Command,
    supervisor::{Attempt, Driver, Supervised},
};

/// How long until a map is refreshed that is not known to be out of date.
const PERIOD: Duration = Duration::from_secs(30);

/// The same while a primary is down: another server may have its slots by now.
const PERIOD_WHILE_MISSING: Duration = Duration::from_millis(200);

const SHORTEST_PERIOD: Duration = Duration::from_millis(50);

/// Loads the slot map, and keeps it up to date.
impl Supervised for SlotMap {
    fn connect(self: Arc<Self>) -> BoxFuture<'static, Attempt> {
        Box::pin(async move {
            if !self.is_empty() {
                // The runtime of the connections has ended.
                self.clear();
            }
            self.replace(&self.latest().await?);
            Ok(Box::pin(self.refresh()) as Driver)
        })
    }
}

impl SlotMap {
    async fn refresh(self: Arc<Self>) -> String {
        loop {
            sleep(SHORTEST_PERIOD).await;
            let is_missing = self.nodes().iter().any(|node| node.connection.supervisor().status().is_down());
            let _ =
                timeout(if is_missing { PERIOD_WHILE_MISSING } else { PERIOD }, self.connector.stale.notified()).await;
            match self.latest().await {
                Ok(shares) => self.replace(&shares),
                // Keeps the old map: servers may come back.
                Err(why) => tracing::debug!("no server reports the slots of the cluster: {why}"),
            }
        }
    }

    /// Returns the answer of the first server that answers.
    async fn latest(&self) -> Result<Vec<Share>, Box<dyn Error + Send + Sync>> {
        let mut why = "no server is known".to_owned();
        for node in self.candidates() {
            let (server, sent) = (node.server(), Sent::default());
            let call = node.connection.call(Command::new("CLUSTER", 0).arg("SLOTS"), &sent);
            why = match timeout(self.connector.timeouts.topology, call).await {
                Ok(Ok(reply)) => match slots::read(reply, server) {
                    Some(shares) => return Ok(shares),
                    None => format!("{server}: it has no slots: create the cluster, or check the address"),
                },
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("{server}: it did not answer in time"),
            };
        }
        Err(why.into())
    }
}
