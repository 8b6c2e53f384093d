//! Message decisions whose futures are polled once and kept or dropped. Other messages of the connection continue.

use std::{net::Ipv4Addr, time::Duration};

use axum::{extract::FromRequestParts, http::Request};
use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing::Instrument;
use traffik::{
    Amount, Settlement, Traffik,
    backend::{Adjusted, Answer, Backend, Control, ControlRequest, MaybeReady, MemoryBackend},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
    test::{ManualClock, RequestExt},
    web::ws::{MessageRejection, Messages},
};

use crate::owned::{hits_of, owned};

use super::{Chat, Each};

/// A backend whose decisions wait until the test releases them.
#[derive(Debug)]
struct Gated {
    store: MemoryBackend,
    questions: mpsc::UnboundedSender<Question>,
}

/// A pending decision of the backend.
#[derive(Debug)]
struct Question {
    /// The name of the tracing span in which the backend was called.
    span: Option<&'static str>,
    go_on: oneshot::Sender<Go>,
}

#[derive(Clone, Copy, Debug)]
enum Go {
    Decide,
    Panic,
}

impl Question {
    /// Makes the backend decide.
    fn decide(self) {
        self.go(Go::Decide);
    }

    fn go(self, go: Go) {
        // A dropped decision no longer waits for this.
        let _ = self.go_on.send(go);
    }
}

impl Backend for Gated {
    fn namespace(&self) -> &str {
        self.store.namespace()
    }

    fn clock(&self) -> AnyClock {
        Backend::clock(&self.store)
    }

    #[expect(clippy::panic, reason = "as a strategy of the user's own may")]
    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            let (go_on, going_on) = oneshot::channel();
            let span = tracing::Span::current().metadata().map(tracing::Metadata::name);
            let _ = self.questions.send(Question { span, go_on });
            match going_on.await {
                Ok(Go::Panic) => panic!("this panic is intended"),
                _ => self.store.decide(hits).await,
            }
        })
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.store.peek(hits)
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        self.store.adjust(adjustments)
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        self.store.renew(charges)
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        self.store.control(request)
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        self.store.reset(hits)
    }

    fn clear(&self) -> Answer<'_, ()> {
        self.store.clear()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.store.close()
    }
}

/// The messages of one connection, with limits of the connection and of its client.
struct Connection {
    traffik: Traffik,
    messages: Messages<(Chat, Each)>,
    questions: mpsc::UnboundedReceiver<Question>,
    clock: ManualClock,
}

type HitResult = std::result::Result<traffik::Permit<(Chat, Each)>, MessageRejection>;

impl Connection {
    #[expect(clippy::unwrap_used, reason = "a test without a connection fails")]
    async fn open() -> Self {
        let (clock, (sender, questions)) = (ManualClock::new(), mpsc::unbounded_channel());
        let store = MemoryBackend::with_clock("test", clock.clone());
        let traffik = Traffik::new(Gated { store, questions: sender }).unwrap();
        let (mut parts, ()) = Request::new(()).with_peer("127.0.0.1:50000").into_parts();
        parts.extensions.insert(traffik.clone());
        let user = Messages::<Chat>::from_request_parts(&mut parts, &()).await.unwrap();
        let each = Messages::<Each>::from_request_parts(&mut parts, &()).await.unwrap();
        Self { traffik, messages: user.and_per_connection(&each), questions, clock }
    }

    /// Waits for the next decision that reaches the backend.
    #[expect(clippy::expect_used, reason = "the backend is asked, or the test fails")]
    async fn question(&mut self) -> Question {
        timeout(Duration::from_secs(20), self.questions.recv()).await.expect("no decision").expect("no backend")
    }

    /// Makes a decision in its own task.
    fn hit(&self) -> tokio::task::JoinHandle<HitResult> {
        let messages = self.messages.clone();
        tokio::spawn(async move { messages.hit().await })
    }

    /// Returns the amount left of the client's limit.
    async fn left(&self) -> u64 {
        let limits = self.traffik.limiter::<Chat>(Ipv4Addr::LOCALHOST).peek().await;
        limits.map_or(u64::MAX, |limits| limits.tightest().remaining().units().unwrap_or(u64::MAX))
    }
}

/// Returns the amounts left of the client's limit and of the connection's.
fn left(answer: HitResult) -> Option<(u64, u64)> {
    let limits = answer.ok()?;
    Some((limits.of::<Chat>().tightest().remaining().units()?, limits.of::<Each>().tightest().remaining().units()?))
}

#[tokio::test]
async fn kept_decision_stops_no_other_message_of_its_connection() {
    let mut connection = Connection::open().await;
    let messages = connection.messages.clone();
    let mut kept = Box::pin(messages.hit());
    assert!(kept.as_mut().now_or_never().is_none());
    let first = connection.question().await;
    let other = connection.hit();
    first.decide();
    connection.question().await.decide();
    assert_eq!(left(other.await.unwrap()), Some((1, 0)));

    // Both messages were charged to the client and to the connection, which admits no third.
    assert!(matches!(messages.hit().await, Err(MessageRejection::Limited(_))));
    assert_eq!(left(kept.await), Some((2, 1)));
    assert_eq!(connection.left().await, 1);
}

#[tokio::test]
async fn kept_message_that_waits_for_another_stops_no_third() {
    let mut connection = Connection::open().await;
    let messages = connection.messages.clone();
    let first = connection.hit();
    let question = connection.question().await;
    let mut kept = Box::pin(messages.hit());
    assert!(kept.as_mut().now_or_never().is_none());
    let third = connection.hit();
    question.decide();
    assert_eq!(left(first.await.unwrap()), Some((2, 1)));
    connection.question().await.decide();
    assert_eq!(left(third.await.unwrap()), Some((1, 0)));
    assert!(matches!(kept.await, Err(MessageRejection::Limited(_))));
    assert_eq!(connection.left().await, 1);
}

#[tokio::test]
async fn dropped_decision_is_charged_to_both_limits_or_to_none() {
    let mut connection = Connection::open().await;
    let messages = connection.messages.clone();
    let mut dropped = Box::pin(messages.hit());
    assert!(dropped.as_mut().now_or_never().is_none());
    let question = connection.question().await;
    let mut waiting = Box::pin(messages.hit());
    assert!(waiting.as_mut().now_or_never().is_none());
    drop((dropped, waiting));
    question.decide();
    let next = connection.hit();
    connection.question().await.decide();
    assert_eq!(left(next.await.unwrap()), Some((1, 0)), "the decision in flight is charged, the pending one is not");
    connection.clock.advance(Duration::from_secs(60));
    assert!(connection.questions.try_recv().is_err());
}

#[tokio::test]
async fn message_refused_by_the_client_limit_is_not_charged_to_the_connection() {
    let mut connection = Connection::open().await;
    let decide = async |connection: &mut Connection| {
        let hit = connection.hit();
        connection.question().await.decide();
        hit.await.unwrap()
    };
    let used = connection.traffik.clone();
    let used = tokio::spawn(async move { used.limiter::<Chat>(Ipv4Addr::LOCALHOST).cost(3).check().await.is_ok() });
    connection.question().await.decide();
    assert!(used.await.unwrap());
    for _ in 0..3 {
        assert!(matches!(decide(&mut connection).await, Err(MessageRejection::Limited(_))));
    }
    connection.clock.advance(Duration::from_secs(60));
    assert_eq!(left(decide(&mut connection).await), Some((2, 1)));
}

#[tokio::test]
async fn message_is_settled_although_another_is_being_decided() {
    let mut connection = Connection::open().await;
    let first = connection.hit();
    connection.question().await.decide();
    let first = first.await.unwrap().unwrap();
    let second = connection.hit();
    let question = connection.question().await;
    let each = first.of::<Each>();
    let refund = each.refund();
    question.decide();
    assert_eq!(left(second.await.unwrap()), Some((1, 0)));
    assert!(matches!(refund.await, Ok(Settlement::Done)));
    assert_eq!(each.tightest().remaining(), Amount::Units(1));
    let third = connection.hit();
    connection.question().await.decide();
    assert_eq!(left(third.await.unwrap()), Some((0, 0)));
}

/// Once with a backend that waits, and once without.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_many_tasks_all_get_a_decision() {
    let Connection { messages, mut questions, .. } = Connection::open().await;
    tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            question.decide();
        }
    });
    for (messages, limit) in [(messages.clone(), 2), (messages.per_connection(), 3)] {
        let tasks = [(); 8].map(|()| {
            let messages = messages.clone();
            tokio::spawn(async move {
                let mut admitted = 0;
                for _ in 0..200 {
                    admitted += usize::from(messages.hit().await.is_ok());
                }
                admitted
            })
        });
        let mut admitted = 0;
        for task in tasks {
            admitted += timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
        }
        assert_eq!(admitted, limit);
    }
}

#[tokio::test]
async fn panic_in_a_decision_resumes_in_its_caller_alone() {
    let mut connection = Connection::open().await;
    let panics = connection.hit();
    connection.question().await.go(Go::Panic);
    assert!(panics.await.unwrap_err().is_panic());
    let next = connection.hit();
    connection.question().await.decide();
    assert_eq!(left(next.await.unwrap()), Some((2, 1)));
}

#[tokio::test]
async fn decision_is_made_in_the_span_of_its_caller() {
    let _guard = tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    let mut connection = Connection::open().await;
    let messages = connection.messages.clone();
    let hit = tokio::spawn(async move { messages.hit().await }.instrument(tracing::info_span!("message")));
    let question = connection.question().await;
    assert_eq!(question.span, Some("message"));
    question.decide();
    assert_eq!(left(hit.await.unwrap()), Some((2, 1)));
}

#[test]
fn message_without_a_runtime_gets_a_decision() {
    let mut connection = Connection::open().now_or_never().unwrap();
    let messages = connection.messages.clone();
    let mut hit = Box::pin(messages.hit());
    assert!(hit.as_mut().now_or_never().is_none());
    connection.questions.try_recv().unwrap().decide();
    assert_eq!(hit.now_or_never().and_then(left), Some((2, 1)));
}
