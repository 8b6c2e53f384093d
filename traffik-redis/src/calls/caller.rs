use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use traffik_core::clock::Timestamp;

use super::{Counts, tasks::Tasks};
use crate::{
    client::{CallError, Client, Reply, Sent, UnexpectedReply},
    question::Question,
    script::Script,
    scripts::{LuaSet, Programs, Time},
};

/// The maximum number of calls in flight other than decisions.
const OTHER_CALLS: usize = 64;

/// Selects one of the scripts of a set of strategies.
pub(crate) type Program = fn(&Programs) -> &Script;

/// The server's reply to one question, and its time by the server's clock.
pub(crate) struct TimedReply {
    pub(crate) at: Timestamp,
    pub(crate) reply: Reply,
}

/// The state that all calls of a backend share.
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) time: Time,
    pub(super) deadline: Duration,
    pub(super) counts: Counts,
    pub(super) other_calls: Semaphore,
    pub(super) tasks: Arc<Tasks>,
}

impl Caller {
    pub(super) fn new(client: Client, time: Time, deadline: Duration) -> Self {
        let (other_calls, tasks) = (Semaphore::new(OTHER_CALLS), Arc::default());
        Self { counts: Counts::new(client.instruments()), client, time, deadline, other_calls, tasks }
    }

    /// Sends questions in one call. Returns the reply to each.
    pub(super) async fn ask<'a>(
        &self,
        program: Program,
        questions: impl Iterator<Item = &'a Question> + Clone,
        more: Option<Vec<u8>>,
        sent: &Sent,
    ) -> Result<Vec<TimedReply>, CallError> {
        let Some(strategies) = questions.clone().filter_map(|question| question.strategies).reduce(LuaSet::and) else {
            return Ok(Vec::new());
        };
        let keys: Vec<_> = questions.clone().flat_map(|question| &question.places.keys).cloned().collect();
        let args = questions.map(|question| question.packed.clone()).chain(more).collect();
        let reply = self.run(program(self.time.scripts().of(strategies)), &keys, args, sent).await?;
        let mut items = reply.into_items().ok_or(UnexpectedReply("no list"))?.into_iter();
        let at = items.next().and_then(|now| now.integer()).ok_or(UnexpectedReply("no time"))?;
        let at = Timestamp::from_micros(at);
        Ok(items.map(|reply| TimedReply { at, reply }).collect())
    }

    pub(super) async fn run(
        &self,
        script: &Script,
        keys: &[String],
        mut args: Vec<Vec<u8>>,
        sent: &Sent,
    ) -> Result<Reply, CallError> {
        args.extend(self.time.time_argument());
        self.client.run(script, keys, &args, sent).await
    }
}
