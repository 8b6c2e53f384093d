use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;
use tokio::sync::oneshot;
use traffik::backend::BackendError;

use super::asking::{Asking, Told};
use crate::{client::CallError, question::Question};

/// How many calls are under way at once before further questions wait to go together.
const LANES: usize = 2;

/// How many hits are put into one call at most: Redis does nothing else meanwhile.
const MOST_HITS: usize = 64;

/// How many questions may wait. Redis would need longer for those than any deadline is.
const MOST_WAITING: usize = 65_536;

/// In a cluster a call goes to one slot, so that nothing gathers, and nodes must not wait for each other: neighbouring slots,
/// which are mostly of one node, wait among themselves.
const CLUSTER_BUCKETS: usize = 64;
const CLUSTER_LANES: usize = 64;

/// Questions that wait for a place, and then go together.
///
/// While few are asked at once each is sent at once, in a call of its own. Once all lanes are taken, those that come wait until
/// one of these calls is answered, and go together in the next: so the more is asked, the less each costs the server and
/// this process.
pub(super) struct Gathering {
    asking: Arc<Asking>,
    queue: Mutex<Queue>,
    most_lanes: usize,
    most_hits: usize,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    lanes: usize,
}

/// A question, and where its answer goes.
struct Waiting {
    question: Arc<Question>,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Told, Arc<CallError>>;

#[derive(Debug, Error)]
#[error("{MOST_WAITING} decisions wait already, which is too many")]
struct TooMany;

impl Gathering {
    /// As many as do not get in each other's way.
    pub(super) fn all_of(asking: &Arc<Asking>) -> Box<[Arc<Self>]> {
        let (buckets, most_lanes, most_hits) = if asking.client.is_cluster() {
            (CLUSTER_BUCKETS, CLUSTER_LANES, 1)
        } else {
            (1, LANES * asking.client.connections(), MOST_HITS)
        };
        let new = || Arc::new(Self { asking: Arc::clone(asking), queue: Mutex::default(), most_lanes, most_hits });
        std::iter::repeat_with(new).take(buckets).collect()
    }

    /// Has a question answered.
    pub(super) fn ask(self: &Arc<Self>, question: Arc<Question>) -> Result<oneshot::Receiver<Answer>, BackendError> {
        let (answer, receiver) = oneshot::channel();
        let mut queue = self.queue();
        if queue.waiting.len() >= MOST_WAITING {
            return Err(BackendError::unavailable(TooMany));
        }
        queue.waiting.push_back(Waiting { question, answer });
        if queue.lanes < self.most_lanes {
            queue.lanes += 1;
            drop(queue);
            tokio::spawn(Lane { gathering: Arc::clone(self), has_ended: false }.run());
        }
        Ok(receiver)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that go next: of whoever has given up waiting nothing is sent. If there is nobody, the lane ends here.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue();
        let (mut next, mut hits) = (Vec::new(), 0);
        while let Some(waiting) = queue.waiting.pop_front() {
            if waiting.answer.is_closed() {
                continue;
            }
            hits += waiting.question.len();
            if !next.is_empty() && hits > self.most_hits {
                queue.waiting.push_front(waiting);
                break;
            }
            next.push(waiting);
        }
        if next.is_empty() {
            queue.lanes -= 1;
            return None;
        }
        Some(next)
    }

    async fn answer(&self, all: Vec<Waiting>) {
        let counts = &self.asking.counts;
        counts.called();
        counts.decided(all.len());
        let questions = all.iter().map(|waiting| &*waiting.question);
        match self.asking.ask(|programs| &programs.decide, questions, None).await {
            Ok(told) => {
                let late = all.into_iter().zip(told).filter_map(|(asked, told)| asked.answer.send(Ok(told)).err());
                match late.count() {
                    0 => {}
                    late => counts.late(late),
                }
            }
            Err(error) => {
                counts.ended(Some(&error), all.len());
                let error = Arc::new(error);
                all.into_iter().for_each(|asked| drop(asked.answer.send(Err(Arc::clone(&error)))));
            }
        }
    }
}

/// One call after the other, until nobody waits.
struct Lane {
    gathering: Arc<Gathering>,
    has_ended: bool,
}

impl Lane {
    async fn run(mut self) {
        while let Some(all) = self.gathering.next() {
            self.gathering.answer(all).await;
        }
        self.has_ended = true;
    }
}

/// If its runtime ends, its place is free for a lane in another.
impl Drop for Lane {
    fn drop(&mut self) {
        if !self.has_ended {
            self.gathering.queue().lanes -= 1;
        }
    }
}
