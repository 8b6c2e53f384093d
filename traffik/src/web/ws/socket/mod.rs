//! The socket with limits: a reader, a writer, and an outbox for the answers to rejected messages.

mod outbox;
mod reader;
mod shared;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Error,
    extract::ws::{Message, WebSocket},
    http::HeaderValue,
};
use futures_util::{Sink, SinkExt, StreamExt};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use traffik_core::{clock::AnyClock, rate::Rate, strategy::TokenBucket};

use self::{
    outbox::{Allowance, Controls, Outbox},
    reader::Stage,
    shared::{Read, SharedSocket, Side},
};
use super::{messages::Messages, over_limit::OverLimit};

/// A WebSocket with limits: it yields admitted messages, and answers the others.
///
/// [`Messages::throttle`] wraps axum's [`WebSocket`] in it. Use it like a `WebSocket`: with [`recv`](Self::recv) and
/// [`send`](Self::send), or as a `Stream` and a `Sink`, which `futures_util::StreamExt::split` splits.
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
/// The socket works while it is read from. It starts no task, except for a decision as
/// [`and_per_connection`](Messages::and_per_connection) describes.
///
/// - **Notifications.** [`over_limit`](Self::over_limit) sets the answer to a message over the limit. The socket sends a burst
///   of up to 100 answers, and then 10 a second. Beyond that, and while the client does not read, it keeps only the newest
///   answer and sends it later. It reads on in the meantime.
/// - **Control frames.** Pings and pongs are passed on and not charged. Pings are answered. A burst of more than 10, at 10 a
///   second, closes the connection with the code 1008; [`control_frames`](Self::control_frames) sets another rate. Pings of a
///   client that reads no answers close it too. Answers to the server's own pings do not count.
/// - **Closing.** Once the socket closes the connection, sending is an error, nothing is yielded, and what the client sends is
///   dropped. The connection ends when the client has answered, or after 5 seconds.
/// - **Outages.** If the backend gives no answer, [`on_error`](crate::on_error) decides whether messages are admitted. If they
///   are not, they are skipped and the client receives
///   `{"type":"rate_limit","error":"Limits cannot be checked","retry_after":1}`; with `Raise` the handler receives the
///   [`MessageRejection`](super::MessageRejection) as an error. The connection goes on in both cases.
///
/// A receive that is dropped before it is ready loses no message.
pub struct ThrottledSocket {
    shared: SharedSocket,
    messages: Messages<()>,
    /// The first kind that a message is counts.
    kinds: Vec<(IsKind, Messages<()>)>,
    over_limit: OverLimit,
    controls: Controls,
    outbox: Outbox,
    stage: Stage,
    /// The message that was read while another one is held.
    ahead: Option<Read>,
    violations: u64,
    clock: AnyClock,
}

type IsKind = Box<dyn Fn(&Message) -> bool + Send + Sync>;

impl<T> Messages<T> {
    /// Wraps the socket. The result yields admitted messages, and answers the others.
    pub fn throttle(&self, socket: WebSocket) -> ThrottledSocket {
        ThrottledSocket {
            shared: SharedSocket::new(socket),
            messages: self.clone().retyped(),
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
    /// Sets what happens to messages over the limit. Defaults to [`Notify`](super::over_limit::Notify).
    #[must_use]
    pub fn over_limit(self, over_limit: impl Into<OverLimit>) -> Self {
        Self { over_limit: over_limit.into(), ..self }
    }

    /// Adds limits for a kind of message.
    ///
    /// A message is charged to the first kind that matches, in the order of the calls, or else to the limits that the socket
    /// was created with. Pings, pongs and the close frame are never charged.
    #[must_use]
    pub fn kind<T>(mut self, messages: Messages<T>, is_it: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Self {
        self.kinds.push((Box::new(is_it), messages.retyped()));
        self
    }

    /// Sets the rate of the client's pings and pongs. Defaults to 10 a second; `0/0` removes the bound. The burst is the limit
    /// of the rate.
    ///
    /// A rate that is out of bounds for [`TokenBucket`](struct@TokenBucket) changes nothing and logs a warning.
    #[must_use]
    pub fn control_frames(mut self, rate: Rate) -> Self {
        let allowance = Allowance::new(TokenBucket::new(), rate);
        match allowance.check() {
            Ok(()) => self.controls = Controls::new(allowance),
            Err(error) => {
                tracing::warn!(%error, "the rate {rate} for control frames is ignored, and the default stays")
            }
        }
        self
    }

    /// Receives the next admitted message, or a control frame. Returns `None` once the connection has ended.
    ///
    /// The item is an error if the connection is lost, which then ends. It is also an error if the limits of a message could
    /// not be checked and [`on_error`](crate::on_error) raises an error; then the connection goes on.
    pub async fn recv(&mut self) -> Option<Result<Message, Error>> {
        self.next().await
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection is lost or closed.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        SinkExt::send(self, message).await
    }

    /// Returns how many messages were over the limit, including those that were held and then admitted.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.violations
    }

    /// Returns the subprotocol of the connection, if there is one.
    #[must_use]
    pub fn protocol(&self) -> Option<&HeaderValue> {
        self.shared.socket.protocol()
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

/// The reason why there is no value.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvJsonError {
    /// The message is not a valid value. The connection goes on.
    #[error("the message is not the expected JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// The socket returned an error: see [`recv`](ThrottledSocket::recv).
    #[error(transparent)]
    Socket(Error),
}

impl ThrottledSocket {
    /// Receives the value in the next admitted message, text or binary. Returns `None` once the connection has ended.
    ///
    /// A message that does not parse is an error and is charged. The next message can still be received:
    ///
    /// ```
    /// use serde_json::{Value, json};
    /// use traffik::web::ws::{RecvJsonError, ThrottledSocket};
    ///
    /// async fn echo(mut socket: ThrottledSocket) {
    ///     while let Some(received) = socket.recv_json::<Value>().await {
    ///         let answer = match received {
    ///             Ok(value) => json!({ "type": "message", "echo": value }),
    ///             Err(RecvJsonError::Json(error)) => json!({ "type": "error", "error": error.to_string() }),
    ///             Err(_) => return,
    ///         };
    ///         if socket.send_json(&answer).await.is_err() {
    ///             return;
    ///         }
    ///     }
    /// }
    /// ```
    pub async fn recv_json<T: DeserializeOwned>(&mut self) -> Option<Result<T, RecvJsonError>> {
        loop {
            let parsed = match self.recv().await? {
                Ok(Message::Text(text)) => serde_json::from_str(text.as_str()),
                Ok(Message::Binary(bytes)) => serde_json::from_slice(&bytes),
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => continue,
                Err(error) => return Some(Err(RecvJsonError::Socket(error))),
            };
            return Some(parsed.map_err(RecvJsonError::Json));
        }
    }

    /// Sends a value as a text.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be written as JSON, or if the connection is lost.
    pub async fn send_json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let text = serde_json::to_string(value).map_err(Error::new)?;
        self.send(Message::Text(text.into())).await
    }
}

impl ThrottledSocket {
    fn open(&self) -> Result<(), Error> {
        if self.stage.is_over() { Err(Error::new("the connection is closed")) } else { Ok(()) }
    }
}

impl Sink<Message> for ThrottledSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.open()?;
        self.shared.poll_write(Side::Writer, cx, Sink::poll_ready)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.open()?;
        self.controls.note_sent(&message);
        self.shared.socket.start_send_unpin(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.open()?;
        self.shared.poll_write(Side::Writer, cx, Sink::poll_flush)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.stage.is_over() {
            return Poll::Ready(Ok(()));
        }
        self.shared.poll_write(Side::Writer, cx, Sink::poll_close)
    }
}
