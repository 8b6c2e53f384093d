//! A cluster: which of its servers is asked, and how a question follows its slot when that moves.
//!
//! Each server has a connection of its own, by redis-rs, and knows nothing of the others: one that hangs holds up nobody who
//! asks another. Where the slots are is learnt from any server that answers, and from the answers of those that are asked in
//! vain. Redirections are followed here, so that nothing but what surely did not run is ever sent twice.

mod atlas;
mod dial;
mod explorer;
mod node;
mod redirect;
mod slots;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::{types::config::Config, util::redis_keyslot};
use redis::Cmd;
use tokio::time::{sleep, timeout};

use self::{atlas::Atlas, dial::Dial, node::Node, redirect::Redirect};
use super::{
    CallError, Reply, Sent,
    line::Patience,
    pages::Pages,
    pause::Pause,
    standing::{Phase, Standing},
    task::Task,
};
use crate::{Error, client::Health, script::Script};

/// How often a question is sent on before it is given up. Each time it did not run.
const STEPS: usize = 8;

pub(super) struct Cluster {
    atlas: Arc<Atlas>,
    patience: Patience,
    explorer: Mutex<Option<Task<()>>>,
}

/// Where a question goes next.
enum Course {
    /// To the server that has the slot, as far as is known.
    Owner,
    /// To one that was named.
    To(Arc<Node>),
    /// To one that takes the question as an exception, since it is about to get the slot.
    Asking(Arc<Node>),
}

impl Cluster {
    /// Learns its shape in the background.
    pub(super) fn connect_later(config: Config, patience: Patience) -> Self {
        let seeds = config.server.hosts().into_iter().map(slots::Place::from).collect();
        let atlas = Arc::new(Atlas::new(Dial::new(config, patience), seeds));
        let explorer = Task::spawn(explorer::explore(Arc::clone(&atlas)));
        Self { atlas, patience, explorer: Mutex::new(Some(explorer)) }
    }

    /// Insists that it is there.
    pub(super) async fn connect(config: Config, patience: Patience) -> Result<Self, Error> {
        let cluster = Self::connect_later(config, patience);
        let mut phases = cluster.standing().phases();
        match timeout(super::CONNECT_WITHIN, phases.wait_for(|phase| !matches!(phase, Phase::Starting))).await {
            Ok(Ok(phase)) => match &*phase {
                Phase::Down(why) => return Err(Error::Connect(why.to_string().into())),
                Phase::Up | Phase::Starting => {}
            },
            Ok(Err(_)) | Err(_) => return Err(Error::Timeout(super::CONNECT_WITHIN)),
        }
        Ok(cluster)
    }

    pub(super) fn standing(&self) -> &Standing {
        self.atlas.standing()
    }

    pub(super) async fn run(
        &self,
        script: &Script,
        keys: &[String],
        args: Vec<Vec<u8>>,
        sent: &Sent,
    ) -> Result<Reply, CallError> {
        let slot = keys.first().map_or(0, |key| redis_keyslot(key.as_bytes()));
        let command = |is_whole: bool| {
            let mut command = redis::cmd(if is_whole { "EVAL" } else { "EVALSHA" });
            command.arg(if is_whole { &script.text } else { &script.sha }).arg(keys.len()).arg(keys).arg(&args);
            command
        };
        self.ask(slot, command, sent).await
    }

    pub(super) async fn remove(&self, keys: &[String], sent: &Sent) -> Result<(), CallError> {
        for keys in slots::by_slot(keys) {
            let slot = keys.first().map_or(0, |key| redis_keyslot(key.as_bytes()));
            self.ask(slot, |_| unlink(&keys), sent).await?;
        }
        Ok(())
    }

    /// Goes through each primary. Keys whose slot moves meanwhile may stay.
    pub(super) async fn clear(&self, pattern: &str) -> Result<(), CallError> {
        self.ready().await?;
        for primary in self.atlas.primaries() {
            let mut pages = Pages::of(pattern);
            while let Some(words) = pages.next() {
                let page = primary.call(redis::cmd("SCAN").arg(&words[..]), &Sent::default()).await?;
                self.remove_on(&primary, &pages.read(page)).await?;
            }
        }
        Ok(())
    }

    /// Removes what is on one server, all at once; what is not there any more, where it is by now.
    async fn remove_on(&self, primary: &Node, keys: &[String]) -> Result<(), CallError> {
        let groups = slots::by_slot(keys);
        let commands: Vec<_> = groups.iter().map(|keys| unlink(keys)).collect();
        let replies = primary.call_all(&commands).await?;
        for (keys, reply) in groups.iter().zip(replies) {
            if let Reply::Error(_) = reply {
                let keys: Vec<_> = keys.iter().map(|key| (*key).clone()).collect();
                self.remove(&keys, &Sent::default()).await?;
            }
        }
        Ok(())
    }

    /// Asks some primary.
    pub(super) async fn command(&self, name: &str, words: &[&str]) -> Result<Reply, CallError> {
        self.ready().await?;
        let primaries = self.atlas.primaries();
        let primary = primaries.iter().find(|primary| primary.is_up()).or(primaries.first());
        primary.ok_or_else(nobody)?.call(redis::cmd(name).arg(words), &Sent::default()).await
    }

    pub(super) fn close(&self) {
        self.explorer().take();
        self.atlas.forget();
        self.standing().close();
    }

    /// Begins anew where the explorer has ended, together with its runtime and that of all connections.
    fn revive(&self) {
        let mut explorer = self.explorer();
        if explorer.as_ref().is_some_and(Task::is_over) {
            self.atlas.forget();
            self.standing().start_again();
            *explorer = Some(Task::spawn(explorer::explore(Arc::clone(&self.atlas))));
        }
    }

    fn explorer(&self) -> MutexGuard<'_, Option<Task<()>>> {
        self.explorer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the map is there, or it is known that no server tells it.
    pub(super) async fn ready(&self) -> Result<(), CallError> {
        self.revive();
        self.standing().ready(self.patience.answer).await
    }

    pub(super) fn health(&self) -> Health {
        let primaries = self.atlas.primaries();
        Health {
            connected: primaries.iter().filter(|primary| primary.is_up()).count(),
            connections: primaries.len(),
            given_up: self.atlas.given_up(),
        }
    }

    /// Asks whoever has a slot. `command` is made for each attempt, whole or not.
    async fn ask(&self, slot: u16, command: impl Fn(bool) -> Cmd, sent: &Sent) -> Result<Reply, CallError> {
        self.ready().await?;
        let asked = timeout(self.patience.answer, self.follow(slot, command, sent)).await;
        asked.unwrap_or_else(|_| Err(CallError::silence(self.patience.answer, sent)))
    }

    async fn follow(&self, slot: u16, command: impl Fn(bool) -> Cmd, sent: &Sent) -> Result<Reply, CallError> {
        let (mut course, mut is_whole, mut pause, mut steps) = (Course::Owner, false, Pause::shortest(), 0..STEPS);
        loop {
            let (node, answer) = match &course {
                Course::Owner => {
                    let node = self.atlas.owner(slot).ok_or_else(nobody)?;
                    let answer = node.call(&command(is_whole), sent).await;
                    (node, answer)
                }
                Course::To(node) => (Arc::clone(node), node.call(&command(is_whole), sent).await),
                Course::Asking(node) => (Arc::clone(node), node.call_asking(command(is_whole), sent).await),
            };
            let Err(CallError::Refused(reason)) = &answer else { return answer };
            let Some(redirect) = Redirect::read(reason, node.place()) else { return answer };
            if steps.next().is_none() {
                return answer;
            }
            match redirect {
                Redirect::Whole => is_whole = true,
                Redirect::Moved(place) => course = Course::To(self.atlas.moved(slot, &place)),
                Redirect::Ask(place) => course = Course::Asking(self.atlas.node(&place)),
                Redirect::Later => {
                    self.atlas.is_wrong();
                    // Nobody waits for long, and what runs after that is charged for nothing.
                    if steps.nth(1).is_none() {
                        return answer;
                    }
                    sleep(pause.next()).await;
                    course = Course::Owner;
                }
            }
        }
    }
}

fn unlink(keys: &[&String]) -> Cmd {
    let mut command = redis::cmd("UNLINK");
    command.arg(keys);
    command
}

fn nobody() -> CallError {
    CallError::NotRun("no server is known that has these keys".into())
}
