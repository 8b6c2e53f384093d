use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use thiserror::Error;
use tokio::{runtime::Handle, sync::oneshot};

use super::asking::{Asking, Told};
use crate::{client::CallError, question::Question};

/// How many calls are under way at once before further questions wait to go together.
const LANES: usize = 2;

/// How many hits are put into one call at most: Redis does nothing else meanwhile.
const MOST_HITS: usize = 64;

/// How many questions may wait. Redis would need longer for those than any deadline is.
const MOST_WAITING: usize = 65_536;

/// In a cluster a call goes to one slot, so that nothing gathers, and nodes must not wait for each other: a few slots in a row
/// wait among themselves. They are of one node, but for those where the slots of one end and another's begin.
const CLUSTER_BUCKETS: usize = 1024;
const CLUSTER_LANES: usize = 16;

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

    /// Has a question answered: in a call of its own if there is a lane for it, or else in one with all that wait.
    pub(super) async fn ask(self: &Arc<Self>, question: Arc<Question>) -> Result<Told, Arc<CallError>> {
        match self.enter(&question)? {
            Entered::Lane(lane) => Alone::new(lane, question).await.map_err(Arc::new),
            Entered::Queue(answer) => {
                answer.await.unwrap_or_else(|gone| Err(Arc::new(CallError::InDoubt(gone.into()))))
            }
        }
    }

    fn enter(self: &Arc<Self>, question: &Arc<Question>) -> Result<Entered, Arc<CallError>> {
        let mut queue = self.queue();
        if queue.lanes < self.most_lanes {
            queue.lanes += 1;
            return Ok(Entered::Lane(Lane { gathering: Arc::clone(self), has_ended: false }));
        }
        if queue.waiting.len() >= MOST_WAITING {
            return Err(Arc::new(CallError::NotRun(TooMany.into())));
        }
        let (answer, receiver) = oneshot::channel();
        queue.waiting.push_back(Waiting { question: Arc::clone(question), answer });
        Ok(Entered::Queue(receiver))
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

/// Where a question goes.
enum Entered {
    Lane(Lane),
    Queue(oneshot::Receiver<Answer>),
}

/// A question that goes at once, within the task that asks it: at low load nothing comes between it and its answer.
///
/// Whoever stops waiting for it leaves it to a task, which waits on to know what came of it.
struct Alone {
    /// The call and its lane, until it is answered.
    under_way: Option<(Call, Lane)>,
}

type Call = Pin<Box<dyn Future<Output = Result<Told, CallError>> + Send>>;

impl Alone {
    fn new(lane: Lane, question: Arc<Question>) -> Self {
        let asking = Arc::clone(&lane.gathering.asking);
        asking.counts.called();
        asking.counts.decided(1);
        let call = async move { asking.ask_one(|programs| &programs.decide, &question, None).await };
        Self { under_way: Some((Box::pin(call), lane)) }
    }
}

impl Future for Alone {
    type Output = Result<Told, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((call, _)) = &mut self.under_way else { return Poll::Ready(Err(CallError::Closed)) };
        let answer = ready!(call.as_mut().poll(context));
        if let Some((_, lane)) = self.under_way.take() {
            lane.gathering.asking.counts.ended(answer.as_ref().err(), 1);
            lane.go_on();
        }
        Poll::Ready(answer)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let Some((call, lane)) = self.under_way.take() else { return };
        lane.spawn(|lane| async move {
            let answer = call.await;
            let counts = &lane.gathering.asking.counts;
            counts.ended(answer.as_ref().err(), 1);
            if answer.is_ok() {
                counts.late(1);
            }
            lane.go_on();
        });
    }
}

/// The place of a call. It makes one after the other, until nobody waits.
struct Lane {
    gathering: Arc<Gathering>,
    has_ended: bool,
}

impl Lane {
    /// With those that wait by now, if there are any.
    fn go_on(mut self) {
        match self.gathering.next() {
            None => self.has_ended = true,
            Some(all) => self.spawn(|lane| lane.run(all)),
        }
    }

    async fn run(mut self, first: Vec<Waiting>) {
        let mut next = Some(first);
        while let Some(all) = next {
            self.gathering.answer(all).await;
            next = self.gathering.next();
        }
        self.has_ended = true;
    }

    /// Goes on in a task, if there is a runtime that still takes any.
    fn spawn<T: Future<Output = ()> + Send + 'static>(self, task: impl FnOnce(Self) -> T) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(task(self));
        }
    }
}

/// If its runtime ends, its place is free for a lane in another, and nobody waits for this one.
impl Drop for Lane {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut queue = self.gathering.queue();
        queue.lanes -= 1;
        let waiting = if queue.lanes == 0 { std::mem::take(&mut queue.waiting) } else { VecDeque::new() };
        drop(queue);
        let gone = Arc::new(CallError::NotRun("the runtime that would have sent it has ended".into()));
        waiting.into_iter().for_each(|asked| drop(asked.answer.send(Err(Arc::clone(&gone)))));
    }
}
