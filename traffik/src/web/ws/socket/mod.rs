//! The socket with limits: a reader that decides, a writer, and an outbox between them.

mod allowance;
mod controls;
mod json;
mod line;
mod outbox;
mod reader;
mod stage;
mod writer;

use std::fmt;

use axum::{
    Error,
    extract::ws::{Message, WebSocket},
    http::HeaderValue,
};
use futures_util::{SinkExt, StreamExt};
use traffik_core::{clock::AnyClock, rate::Rate, strategy::TokenBucket};

pub use self::json::RecvJsonError;
use self::{
    allowance::Allowance,
    controls::Controls,
    line::{Line, Read},
    outbox::Outbox,
    stage::Stage,
};
use super::{messages::Messages, over_limit::OverLimit};

/// A WebSocket whose messages are held to limits: it yields those that are admitted, and answers the others.
///
/// It is what [`Messages::throttle`] makes of axum's [`WebSocket`], and is used like it: [`recv`](Self::recv) and
/// [`send`](Self::send), or as a `Stream` and a `Sink`, which `futures_util::StreamExt::split` takes apart.
///
/// ```
/// use std::time::Duration;
///
/// use axum::extract::ws::{Message, WebSocket};
/// use traffik::{Rate, web::ws::{Messages, ThrottledSocket, over_limit::{Close, Wait}}};
///
/// fn set_up<Chat, Upload>(socket: WebSocket, chat: Messages<Chat>, uploads: Messages<Upload>) -> ThrottledSocket {
///     chat.throttle(socket)
///         .kind(uploads.cost_by_size(1024), |message| matches!(message, Message::Binary(_)))
///         .control_frames(Rate::literal("2/s"))
///         .over_limit(Close::after(10).reason("too many messages"))
/// }
/// ```
///
/// # What it does by itself
///
/// It starts no task, and does all that follows when it is read from.
///
/// - **Notifications.** A message over the limit is answered as [`over_limit`](Self::over_limit) says, each of them up to a
///   hundred, and then ten a second: beyond that, and as long as the client does not read, only the newest is kept and sent
///   later. Reading goes on meanwhile.
/// - **Control frames.** Pings and pongs are passed on, and not charged; pings are answered. More than ten in a row, at ten a
///   second, or as [`control_frames`](Self::control_frames) says, close the connection with the code 1008, and so do pings of
///   a client that reads none of the answers. Answers to the server's own pings do not count.
/// - **Closing.** Once it closes a connection nothing can be sent, nothing is yielded any more, and what still comes is
///   thrown away. When the client has answered, or five seconds have passed, it ends.
/// - **Outages.** Where the backend gives no answer, [`on_error`](crate::on_error) says whether messages are admitted. If not,
///   they are skipped and the client is told `{"type":"rate_limit","error":"Limits cannot be checked","retry_after":1}`; with
///   `Raise` the handler gets the [`MessageRejection`](super::MessageRejection) as an error. In either case the connection
///   goes on, and the next message can be received.
///
/// A receive that is dropped before it is ready loses nothing.
pub struct ThrottledSocket {
    line: Line,
    messages: Messages<()>,
    /// The first kind that a message is counts.
    kinds: Vec<(IsKind, Messages<()>)>,
    over_limit: OverLimit,
    controls: Controls,
    outbox: Outbox,
    stage: Stage,
    /// What was read behind a message that was held.
    ahead: Option<Read>,
    violations: u64,
    clock: AnyClock,
}

type IsKind = Box<dyn Fn(&Message) -> bool + Send + Sync>;

impl<T> Messages<T> {
    /// Wraps the socket: it yields admitted messages only, and answers the others.
    pub fn throttle(&self, socket: WebSocket) -> ThrottledSocket {
        ThrottledSocket {
            line: Line::new(socket),
            messages: self.retyped(),
            kinds: Vec::new(),
            over_limit: OverLimit::default(),
            controls: Controls::new(Allowance::new(TokenBucket::new(), Controls::RATE)),
            outbox: Outbox::new(),
            stage: Stage::default(),
            ahead: None,
            violations: 0,
            clock: self.limits.traffik.clock().clone(),
        }
    }
}

impl ThrottledSocket {
    /// Does this about messages over the limit, rather than [`Notify`](super::over_limit::Notify).
    #[must_use]
    pub fn over_limit(self, over_limit: impl Into<OverLimit>) -> Self {
        Self { over_limit: over_limit.into(), ..self }
    }

    /// Charges other limits for a kind of message: the first kind that a message is, in the order they were added, or else
    /// what the socket was made with. Pings, pongs and the close frame are never charged.
    #[must_use]
    pub fn kind<T>(mut self, messages: Messages<T>, is_it: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Self {
        self.kinds.push((Box::new(is_it), messages.retyped()));
        self
    }

    /// Lets the client send so many pings and pongs: ten a second, unless told otherwise, and no bound with `0/0`. As many as
    /// the rate allows in its period may come at once.
    ///
    /// A rate that is out of bounds for [`TokenBucket`](crate::strategy::TokenBucket) is not taken, and warned of.
    #[must_use]
    pub fn control_frames(mut self, rate: Rate) -> Self {
        let allowance = Allowance::new(TokenBucket::new(), rate);
        match allowance.check() {
            Ok(()) => self.controls = Controls::new(allowance),
            Err(error) => tracing::warn!(%error, "control frames are not held to the rate {rate}"),
        }
        self
    }

    /// Receives the next admitted message, or a control frame. Nothing, once the connection has ended.
    ///
    /// It is an error if the connection is lost, which then ends, or if [`on_error`](crate::on_error) raises that the limits
    /// of a message could not be checked, after which it goes on.
    pub async fn recv(&mut self) -> Option<Result<Message, Error>> {
        self.next().await
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// When the connection is lost or closed.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        SinkExt::send(self, message).await
    }

    /// How many messages were over the limit so far, those included that were held and then admitted.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.violations
    }

    /// The subprotocol that was agreed on, if there is one.
    #[must_use]
    pub fn protocol(&self) -> Option<&HeaderValue> {
        self.line.socket.protocol()
    }
}

impl fmt::Debug for ThrottledSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, over_limit, violations, .. } = self;
        let mut debug = f.debug_struct("ThrottledSocket");
        debug.field("messages", messages).field("over_limit", over_limit).field("violations", violations);
        debug.finish_non_exhaustive()
    }
}
