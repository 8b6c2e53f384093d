use std::sync::Arc;

use traffik_core::clock::Timestamp;

use super::Counts;
use crate::{
    client::{CallError, Client, Reply, Sent},
    question::Question,
    script::Script,
    scripts::{Programs, Scripts, Time, Twins},
};

/// What is asked: one of the programs of the strategies that it is about.
pub(crate) type Program = fn(&Programs) -> &Script;

/// What the server said to one question, and at what time by its clock.
pub(crate) struct Told {
    pub(crate) at: Timestamp,
    pub(crate) said: Reply,
}

/// Asks the server, for as long as that takes.
pub(super) struct Asking {
    pub(super) client: Client,
    pub(super) time: Time,
    pub(super) counts: Arc<Counts>,
}

impl Asking {
    pub(super) fn new(client: Client, time: Time) -> Self {
        Self { client, time, counts: Arc::default() }
    }

    /// Asks questions that are about some strategies in one call: what was said to each.
    pub(super) async fn ask<'a>(
        &self,
        program: Program,
        questions: impl Iterator<Item = &'a Question> + Clone,
        more: Option<Vec<u8>>,
        sent: &Sent,
    ) -> Result<Vec<Told>, CallError> {
        let Some(twins) = questions.clone().filter_map(|question| question.twins).reduce(Twins::and) else {
            return Ok(Vec::new());
        };
        let keys: Vec<_> = questions.clone().flat_map(|question| &question.places.keys).cloned().collect();
        let args = questions.map(|question| question.packed.clone()).chain(more).chain(self.time.to_tell()).collect();
        let reply = self.client.run(program(self.time.scripts().of(twins)), &keys, args, sent).await?;
        let mut items = reply.into_items().ok_or(CallError::nonsense("no list"))?.into_iter();
        let at = items.next().and_then(|now| now.integer()).ok_or(CallError::nonsense("no time"))?;
        let at = Timestamp::from_micros(at);
        Ok(items.map(|said| Told { at, said }).collect())
    }

    /// Runs a program that is about what is stored, and not about hits.
    pub(super) async fn run(
        &self,
        program: fn(&Scripts) -> &Script,
        keys: &[String],
        args: Vec<Vec<u8>>,
        sent: &Sent,
    ) -> Result<Reply, CallError> {
        let args = args.into_iter().chain(self.time.to_tell()).collect();
        self.client.run(program(self.time.scripts()), keys, args, sent).await
    }

    /// Asks one question.
    pub(super) async fn ask_one(
        &self,
        program: Program,
        question: &Question,
        more: Option<Vec<u8>>,
        sent: &Sent,
    ) -> Result<Told, CallError> {
        let told = self.ask(program, std::iter::once(question), more, sent).await?;
        told.into_iter().next().ok_or(CallError::nonsense("no answer"))
    }
}
