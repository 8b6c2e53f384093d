use std::sync::Arc;

use fred::types::config::Config;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    node::Shared,
    slot_map::{Redirect, SlotMap},
};
use crate::{
    client::{
        CallError, Reply, Sent,
        command::Command,
        connection::Connection,
        supervisor::{Backoff, Supervisor},
        timeouts::Timeouts,
    },
    instruments::Counts,
};

/// The maximum number of redirects and retries of a command, none of which ran it.
const STEPS: usize = 8;

pub(in crate::client) struct Cluster {
    map: Arc<SlotMap>,
    /// Keeps the map up to date.
    pub(in crate::client) supervisor: Supervisor,
}

impl Cluster {
    pub(in crate::client) fn new(config: Config, timeouts: Timeouts, counts: Arc<Counts>) -> Self {
        let map = Arc::new(SlotMap::new(Shared { config, timeouts, counts, stale: Notify::new() }));
        Self { supervisor: Supervisor::new(map.clone(), timeouts), map }
    }

    pub(in crate::client) fn connections(&self) -> Vec<Arc<Connection>> {
        self.map.nodes().iter().map(|node| Arc::clone(&node.connection)).collect()
    }

    /// Sends a command to the server that has its slot.
    pub(in crate::client) async fn call(&self, command: Command, sent: &Sent) -> Result<Reply, CallError> {
        self.supervisor.ready().await?;
        let patience = self.map.shared.timeouts.answer;
        let answer = timeout(patience, self.follow(command, sent)).await;
        answer.unwrap_or_else(|_| Err(CallError::silence(patience, sent.may_run())))
    }

    async fn follow(&self, command: Command, sent: &Sent) -> Result<Reply, CallError> {
        let (slot, mut backoff, mut steps) = (command.slot, Backoff::new(), 0..STEPS);
        let mut redirect = None;
        loop {
            let (node, is_asking) = match redirect.take() {
                Some(Redirect::Moved(server)) => (Some(self.map.moved(slot, &server)), false),
                Some(Redirect::Ask(server)) => (Some(self.map.node(&server)), true),
                Some(Redirect::Later) | None => (self.map.owner(slot), false),
            };
            let node =
                node.ok_or_else(|| CallError::NotRun(format!("no server of the cluster has the slot {slot}").into()))?;
            let answer = node.call(Command { is_asking, ..command.clone() }, sent).await;
            let Err(CallError::Refused(reason)) = &answer else { return answer };
            redirect = Redirect::read(reason, &node.server);
            if redirect.is_none() || steps.next().is_none() {
                return answer;
            }
            if redirect == Some(Redirect::Later) {
                self.map.shared.stale.notify_one();
                // No caller waits that long. A command that runs later would charge a request that has already failed.
                if steps.nth(1).is_none() {
                    return answer;
                }
                sleep(backoff.next()).await;
            }
        }
    }
}
