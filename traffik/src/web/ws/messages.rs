use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, ws::Message},
    http::request::Parts,
};
use traffik_core::OutOfRange;

use super::{
    checks::MessageChecks,
    limits::{MessageLimits, Scope},
    rejection::MessageRejection,
};
use crate::{
    engine::Permit,
    web::{
        RequestContext, Site, ThrottleSet,
        rejection::{Cause, Misconfigured, ThrottleRejection},
    },
};

/// Extracts the limits of a WebSocket's messages.
///
/// The extractor takes the throttle and the client from the request that opens the connection, and charges nothing.
///
/// `T` is a [`Throttle`](crate::Throttle), or a tuple of up to sixteen, which are one decision. As with
/// [`Throttled`](crate::Throttled), a missing layer or a missing peer address is a 500 before the upgrade, which says
/// what to change. A throttle with the strategy [`Concurrency`](crate::strategy::Concurrency) is a 500 too: use
/// `Throttled` to limit connections.
///
/// [`throttle`](Self::throttle) wraps the socket. The handler then receives admitted messages only:
///
/// ```
/// use axum::{Router, extract::{WebSocketUpgrade, ws::Message}, response::Response, routing::any};
/// use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Throttled, Traffik, web::ws::Messages};
///
/// struct Connect;
///
/// impl Throttle for Connect {
///     const UID: &'static str = "chat:connect";
///     const RATE: Rate = Rate::literal("10/min");
///     type Identity = DefaultIdentity;
/// }
///
/// struct Chat;
///
/// impl Throttle for Chat {
///     const UID: &'static str = "chat:messages";
///     const RATE: Rate = Rate::literal("60/min");
///     type Identity = DefaultIdentity;
/// }
///
/// // Over the first limit there is no upgrade, but a 429.
/// async fn chat(_: Throttled<Connect>, messages: Messages<Chat>, upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(|socket| async move {
///         let mut socket = messages.throttle(socket);
///         while let Some(Ok(message)) = socket.recv().await {
///             if let Message::Text(text) = message {
///                 if socket.send(Message::Text(text)).await.is_err() {
///                     return;
///                 }
///             }
///         }
///     })
/// }
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let app: Router = Router::new().route("/chat", any(chat)).layer(traffik.layer());
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// [`hit`](Self::hit) charges a message manually:
///
/// ```
/// use axum::extract::ws::{Message, WebSocket};
/// use traffik::{Throttle, web::ws::Messages};
///
/// async fn chat<T: Throttle>(mut socket: WebSocket, messages: Messages<T>) {
///     while let Some(Ok(message)) = socket.recv().await {
///         let answer = match messages.hit().await {
///             Ok(_) => message,
///             Err(rejection) => rejection.notification(),
///         };
///         if socket.send(answer).await.is_err() {
///             return;
///         }
///     }
/// }
/// ```
///
/// All connections of a client share its limits, unless they are [per connection](Self::per_connection). The client is that of
/// the request. [`cost`](Self::cost) sets the cost of a message in place of the throttle's.
///
/// The socket keeps a copy of the request's parts. If a throttle has rules, or a cost or a rate by function, a message that
/// comes a second or more after the last evaluation evaluates them again. So a limit that is switched on, or another rate,
/// holds for open connections within a second. Until an identity has returned a client, it is evaluated again as well. A
/// [change](crate::control) of the limit holds for the next message.
pub struct Messages<T> {
    pub(super) limits: Arc<MessageLimits>,
    cost: Option<Cost>,
    wait: Option<Duration>,
    throttles: PhantomData<fn() -> T>,
}

type Cost = Arc<dyn Fn(&Message) -> Result<u64, OutOfRange> + Send + Sync>;

impl<T> Messages<T> {
    fn new(limits: MessageLimits) -> Self {
        Self { limits: Arc::new(limits), cost: None, wait: None, throttles: PhantomData }
    }

    /// Charges a message at the cost of the throttles, and returns its permit, which can [settle](Permit::settle) the charge.
    ///
    /// # Errors
    ///
    /// Returns an error if a limit has no room, or if the backend gives no answer and [`on_error`](crate::on_error) does not
    /// admit the message.
    pub async fn hit(&self) -> Result<Permit<T>, MessageRejection> {
        self.limits.hit(Ok(None), self.wait).await.map(Permit::new)
    }

    /// Charges a message at this cost, and returns its permit.
    ///
    /// # Errors
    ///
    /// See [`hit`](Self::hit).
    pub async fn hit_costing(&self, cost: u64) -> Result<Permit<T>, MessageRejection> {
        self.limits.hit(Ok(Some(cost)), self.wait).await.map(Permit::new)
    }

    /// Charges this message at its own [cost](Self::cost), and returns its permit.
    ///
    /// # Errors
    ///
    /// See [`hit`](Self::hit).
    pub async fn hit_for(&self, message: &Message) -> Result<Permit<T>, MessageRejection> {
        self.limits.hit(self.cost_of(message), self.wait).await.map(Permit::new)
    }

    /// Lets [`hit`](Self::hit), [`hit_costing`](Self::hit_costing) and [`hit_for`](Self::hit_for) wait until the limits admit the
    /// message, for `max` at most. Messages of all connections of a client are admitted in the order in which they came: see
    /// [`Limiter::wait`](crate::Limiter::wait).
    ///
    /// A [`ThrottledSocket`](super::ThrottledSocket) waits by [`over_limit::Wait`](super::over_limit::Wait) instead. For limits
    /// of a single connection, of which one task usually reads, messages of several tasks are admitted in any order.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum::extract::ws::WebSocket;
    /// use traffik::{Throttle, web::ws::Messages};
    ///
    /// async fn chat<T: Throttle>(mut socket: WebSocket, messages: Messages<T>) {
    ///     let messages = messages.wait(Duration::from_secs(5));
    ///     while let Some(Ok(message)) = socket.recv().await {
    ///         let answer = match messages.hit().await {
    ///             Ok(_) => message,
    ///             Err(rejection) => rejection.notification(),
    ///         };
    ///         if socket.send(answer).await.is_err() {
    ///             return;
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn wait(self, max: Duration) -> Self {
        Self { wait: Some(max), ..self }
    }

    /// Returns whether the last message of this connection was not admitted, by [`hit`](Self::hit) or in a
    /// [`ThrottledSocket`](super::ThrottledSocket).
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.limits.is_throttled()
    }

    /// Sets the cost of a message by a function, in place of the cost of the throttles. A message with a cost of 0 is not
    /// counted.
    ///
    /// ```
    /// # use axum::extract::ws::Message;
    /// # use traffik::web::ws::Messages;
    /// # fn example<T>(messages: Messages<T>) -> Messages<T> {
    /// messages.cost(|message| if matches!(message, Message::Binary(_)) { 5 } else { 1 })
    /// # }
    /// ```
    #[must_use]
    pub fn cost(self, cost: impl Fn(&Message) -> u64 + Send + Sync + 'static) -> Self {
        Self { cost: Some(Arc::new(move |message| Ok(cost(message)))), ..self }
    }

    /// Sets the cost of a message to its size in units of `unit` bytes, rounded up, and at least 1. With 1024, a message costs
    /// 1 for each KiB. A unit of 0 makes each message a [`MessageRejection::Misconfigured`].
    ///
    /// A message is read before it is charged.
    /// [`WebSocketUpgrade::max_message_size`](axum::extract::WebSocketUpgrade::max_message_size) sets the maximum size.
    #[must_use]
    pub fn cost_by_size(self, unit: usize) -> Self {
        let cost = move |message: &Message| {
            OutOfRange::check("Messages::cost_by_size", unit as u64, 1..=u64::MAX).map(|()| units(message, unit))
        };
        Self { cost: Some(Arc::new(cost)), ..self }
    }

    /// Limits each connection separately, instead of all connections of the client together.
    ///
    /// The limits are stored with the connection and end with it. They call no backend, and no outage affects them. A
    /// client can reconnect to reset them, so limit handshakes as well.
    #[must_use]
    pub fn per_connection(self) -> Self {
        Self { limits: Arc::new(self.limits.per_connection()), ..self }
    }

    /// Adds limits for each connection separately. They are checked first, and the client's limits only if they have
    /// room. A message is charged to all of them, or to none.
    ///
    /// A decision that waits for the backend runs in a task. The task finishes the decision even if its future is
    /// dropped or not polled. Then the next message of the connection is decided.
    ///
    /// ```
    /// use axum::{extract::WebSocketUpgrade, response::Response};
    /// use traffik::{Throttle, web::ws::Messages};
    ///
    /// async fn chat<User: Throttle, Socket: Throttle>(
    ///     user: Messages<User>,
    ///     each_socket: Messages<Socket>,
    ///     upgrade: WebSocketUpgrade,
    /// ) -> Response {
    ///     let messages = user.and_per_connection(&each_socket);
    ///     upgrade.on_upgrade(|socket| async move {
    ///         let _socket = messages.throttle(socket);
    ///         // ..
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn and_per_connection<U>(self, each: &Messages<U>) -> Messages<(T, U)> {
        let limits = Arc::new(self.limits.and_per_connection(&each.limits));
        Messages { limits, cost: self.cost, wait: self.wait, throttles: PhantomData }
    }

    pub(super) fn cost_of(&self, message: &Message) -> Result<Option<u64>, OutOfRange> {
        self.cost.as_ref().map(|cost| cost(message)).transpose()
    }

    /// Changes only the type parameter.
    pub(super) fn retyped<U>(self) -> Messages<U> {
        Messages { limits: self.limits, cost: self.cost, wait: self.wait, throttles: PhantomData }
    }
}

/// Returns the size of a message in units, rounded up, and at least 1. `unit` is not 0.
fn units(message: &Message, unit: usize) -> u64 {
    let bytes = match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    };
    bytes.div_ceil(unit).max(1).try_into().unwrap_or(u64::MAX)
}

impl<T, S> FromRequestParts<S> for Messages<T>
where
    T: ThrottleSet<S>,
    S: Clone + Send + Sync + 'static,
{
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ThrottleRejection> {
        let context = RequestContext::of(parts).ok_or_else(Misconfigured::no_state)?;
        let checks = T::checks(&context, &Site::Handler, parts, state).await?;
        if let Some(held) = checks.iter().find(|check| check.definition.is_held) {
            let (uid, throttle) = (held.definition.uid.as_ref().into(), held.definition.name.as_ref().into());
            return Err(Misconfigured::logged(Cause::ConcurrencyOfMessages { uid, throttle }).into());
        }
        let refunds = checks.iter().find(|check| !check.definition.settings.request.refund_if.is_never());
        if let Some(check) = refunds {
            let error = check.definition.refund_if("a message has no response: refund the permit of the message");
            return Err(Misconfigured::from(error).into());
        }
        checks.store().map_err(Misconfigured::from)?;
        let version = context.live().map_or(0, |live| live.version);
        let client = Scope::Client(MessageChecks::new::<T, S>(&checks, version, &context, parts, state));
        Ok(Self::new(MessageLimits::new(context.traffik().clone(), client)))
    }
}

/// A clone charges the same limits, including those of the connection.
impl<T> Clone for Messages<T> {
    fn clone(&self) -> Self {
        Self { limits: Arc::clone(&self.limits), cost: self.cost.clone(), wait: self.wait, throttles: PhantomData }
    }
}

impl<T> fmt::Debug for Messages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("uids", &self.limits.uids()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_to_whole_units() {
        let cost = |size: usize, unit| units(&Message::Binary(vec![0; size].into()), unit);
        assert_eq!([0, 1, 1024, 1025, 2048].map(|size| cost(size, 1024)), [1, 1, 1, 2, 2]);
        assert_eq!(units(&Message::Text("süß".into()), 2), 3, "sizes are in bytes");
    }
}
