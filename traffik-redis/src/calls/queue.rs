use std::{collections::VecDeque, sync::Arc};

use tokio::{runtime::Handle, sync::oneshot, time::Instant};

use super::TimedReply;
use crate::{client::CallError, question::Question};

pub(super) type Answer = Result<TimedReply, Arc<CallError>>;

/// A question that waits, and the receiver of its answer.
pub(super) struct Pending {
    pub(super) question: Arc<Question>,
    pub(super) deadline: Instant,
    /// The runtime of its caller.
    pub(super) runtime: Handle,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Questions that wait, in the order of their deadlines, and the tasks that make calls.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Pending>,
    pub(super) tasks: Vec<Slot>,
    last_id: u64,
}

/// A call in flight, or a task that is about to make one.
pub(super) struct Slot {
    pub(super) id: u64,
    /// The time by which its task has to report again. A task that does not is in a blocked runtime.
    pub(super) until: Instant,
}

impl Queue {
    /// Returns a slot for one more task: a free one, or that of a blocked task.
    pub(super) fn free_slot(&mut self, max: usize, now: Instant, until: Instant) -> Option<u64> {
        if self.tasks.len() >= max {
            self.tasks.retain(|slot| slot.until > now);
        }
        if self.tasks.len() >= max {
            return None;
        }
        self.last_id += 1;
        self.tasks.push(Slot { id: self.last_id, until });
        Some(self.last_id)
    }

    /// Records that a task is alive. Returns whether it still has its slot.
    pub(super) fn heard_of(&mut self, id: u64, until: Instant) -> bool {
        let slot = self.tasks.iter_mut().find(|slot| slot.id == id);
        slot.map(|slot| slot.until = until).is_some()
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.tasks.retain(|slot| slot.id != id);
    }

    /// Removes the questions whose deadline has passed.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<Pending> {
        let late = self.waiting.partition_point(|pending| pending.deadline <= now);
        self.waiting.drain(..late).collect()
    }

    /// Removes the next questions to send, without those whose callers are gone.
    pub(super) fn take_batch(&mut self, max_hits: usize) -> Vec<Pending> {
        let (mut batch, mut hits) = (Vec::new(), 0);
        while let Some(pending) = self.waiting.pop_front() {
            if pending.answer.is_closed() {
                continue;
            }
            hits += pending.question.len();
            if !batch.is_empty() && hits > max_hits {
                self.waiting.push_front(pending);
                break;
            }
            batch.push(pending);
        }
        batch
    }
}

/// Ends questions with the same error.
pub(super) fn end(questions: impl IntoIterator<Item = Pending>, error: impl Into<CallError>) {
    let error = Arc::new(error.into());
    for pending in questions {
        // The caller may have been dropped.
        let _ = pending.answer.send(Err(Arc::clone(&error)));
    }
}
