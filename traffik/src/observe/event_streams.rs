//! Streams of events, for readers that may be slow.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use serde::Serialize;
use thiserror::Error;
use tokio::sync::broadcast::{self, error::RecvError};
use traffik_core::{client::Client, clock::Timestamp, rate::Rate};

use super::{Event, EventOutcome, log::ClientDigest};

/// The listeners of an app. Without any, nothing is made for them.
///
/// A message is kept until all listeners have read it, or until [`BUFFER`](Self::BUFFER) later ones were made.
#[derive(Default)]
pub(crate) struct EventStreams {
    listeners: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None` until the first one listens, and again once the streams have ended.
    sender: Option<broadcast::Sender<Arc<Message>>>,
    has_ended: bool,
}

/// What listeners receive.
#[derive(Debug)]
pub(crate) enum Message {
    Decision(DecisionMessage),
    /// The name of the event, and its data in JSON.
    Other(&'static str, String),
}

/// An event without what is secret: the client is a digest.
#[derive(Debug, Serialize)]
pub(crate) struct DecisionMessage {
    #[serde(serialize_with = "as_text")]
    at: Timestamp,
    pub(crate) uid: Box<str>,
    #[serde(serialize_with = "as_text")]
    pub(crate) outcome: EventOutcome,
    decided_by: &'static str,
    backend: Box<str>,
    rate: Rate,
    cost: u64,
    remaining: Option<u64>,
    retry_after_ms: Option<u64>,
    duration_us: u64,
    enforced: bool,
    near: bool,
    client: Option<String>,
}

/// Why there is no further listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum ListenError {
    #[error(
        "{} streams of events are open, which is the most that a process serves: close one of them",
        EventStreams::MAX
    )]
    TooMany,
    #[error("the app is closing, so it has no events")]
    Ended,
}

/// The result of a read.
#[derive(Debug)]
pub(crate) enum Received {
    Message(Arc<Message>),
    /// This number of messages was dropped, because they were not read in time.
    Lost(u64),
    Ended,
}

/// Reads the messages that are made while it exists.
pub(crate) struct Listener {
    receiver: broadcast::Receiver<Arc<Message>>,
    streams: Arc<EventStreams>,
}

impl EventStreams {
    /// The number of messages that a listener may be behind.
    const BUFFER: usize = 1024;

    /// The number of listeners.
    const MAX: usize = 16;

    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    /// Passes a decision on. It never waits for a listener.
    #[cold]
    pub(super) fn decided(&self, event: &Event<'_>, at: Timestamp, digest: ClientDigest) {
        self.send(Message::Decision(DecisionMessage {
            at,
            uid: event.uid.into(),
            outcome: event.outcome,
            decided_by: event.decided_by.as_str(),
            backend: event.backend.into(),
            rate: event.rate,
            cost: event.cost,
            remaining: event.remaining.units(),
            retry_after_ms: event.retry_after.map(|wait| whole(wait.as_micros().div_ceil(1000))),
            duration_us: whole(event.duration.as_micros()),
            enforced: event.is_enforced,
            near: event.is_near,
            client: event.client.and_then(Client::key).map(|key| digest.of(key)),
        }));
    }

    /// Reports that limits were added, changed or removed, or changes of their clients.
    pub(crate) fn changed(&self) {
        self.other("changed", || "{}".to_owned());
    }

    /// Passes another event on, with its data in JSON.
    pub(crate) fn other(&self, name: &'static str, data: impl FnOnce() -> String) {
        if self.is_on() {
            self.send(Message::Other(name, data()));
        }
    }

    /// Ends all streams. There are none from now on.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        (state.sender, state.has_ended) = (None, true);
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &self.state.lock().sender {
            // Without a listener it is dropped.
            let _ = sender.send(Arc::new(message));
        }
    }
}

impl Listener {
    /// Reads what is made from now on.
    pub(crate) fn new(streams: &Arc<EventStreams>) -> Result<Self, ListenError> {
        let mut state = streams.state.lock();
        if state.has_ended {
            return Err(ListenError::Ended);
        }
        if streams.listeners.load(Ordering::Relaxed) >= EventStreams::MAX {
            return Err(ListenError::TooMany);
        }
        let sender = state.sender.get_or_insert_with(|| broadcast::Sender::new(EventStreams::BUFFER));
        let receiver = sender.subscribe();
        streams.listeners.fetch_add(1, Ordering::Relaxed);
        drop(state);
        Ok(Self { receiver, streams: Arc::clone(streams) })
    }

    /// Waits for the next message. What was made before the streams ended is read first.
    pub(crate) async fn next(&mut self) -> Received {
        match self.receiver.recv().await {
            Ok(message) => Received::Message(message),
            Err(RecvError::Lagged(count)) => Received::Lost(count),
            Err(RecvError::Closed) => Received::Ended,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.streams.state.lock();
        if self.streams.listeners.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Frees the buffer.
            state.sender = None;
        }
    }
}

/// Shows no events.
impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn as_text<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
