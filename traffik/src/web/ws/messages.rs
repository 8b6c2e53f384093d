use std::{fmt, marker::PhantomData};

use axum::{
    extract::{
        FromRequestParts,
        ws::{Message, WebSocket},
    },
    http::request::Parts,
};

use super::{
    charge::{Charge, Cost},
    rejection::MessageRejection,
    socket::ThrottledSocket,
    tariff::Tariff,
};
use crate::{
    engine::{Check, Limits},
    web::{
        RequestContext, Site, ThrottleSet,
        rejection::{Misconfigured, ThrottleRejection},
    },
};

/// Extractor for the limits of a WebSocket's messages: it takes the throttle and the client from the request that opens
/// the connection, charges nothing yet, and outlives the upgrade.
///
/// `T` is a [`Throttle`](crate::Throttle), or a tuple of up to eight, which are one decision. As with
/// [`Throttled`](crate::Throttled) a missing layer or a missing address of the peer is a 500 that names the fix, before the
/// upgrade. So is a throttle with the strategy [`Concurrency`](crate::strategy::Concurrency): a message takes no place, but a
/// connection does, and that is what `Throttled` is for.
///
/// [`throttle`](Self::throttle) wraps the socket, so that the handler sees admitted messages only:
///
/// ```
/// use axum::{Router, extract::{WebSocketUpgrade, ws::Message}, response::Response, routing::any};
/// use traffik::{DefaultIdentity, Rate, Throttle, Throttled, Traffik, backend::MemoryBackend, web::ws::Messages};
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
/// let traffik = Traffik::new(MemoryBackend::new("myapp"));
/// let app: Router = Router::new().route("/chat", any(chat)).layer(traffik.layer());
/// ```
///
/// [`hit`](Self::hit) decides by hand, about whatever the handler likes:
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
/// All connections of a client share its limits, unless they are [per connection](Self::per_connection). The rate, the client
/// and, unless messages have one of their [own](Self::cost), the cost are those of the request.
pub struct Messages<T> {
    tariff: Tariff,
    throttles: PhantomData<fn() -> T>,
}

impl<T> Messages<T> {
    /// Charges a message what the throttles cost, and tells how the client stands.
    ///
    /// # Errors
    ///
    /// When a limit has no room, or the backend gave no answer and [`on_error`](crate::on_error) lets nothing through then.
    pub async fn hit(&self) -> Result<Limits, MessageRejection> {
        self.tariff.hit(None).await
    }

    /// The same for a message that costs so much.
    ///
    /// # Errors
    ///
    /// As [`hit`](Self::hit).
    pub async fn hit_costing(&self, cost: u64) -> Result<Limits, MessageRejection> {
        self.tariff.hit(Some(cost)).await
    }

    /// The same for this message, by its own [cost](Self::cost).
    ///
    /// # Errors
    ///
    /// As [`hit`](Self::hit).
    pub async fn hit_for(&self, message: &Message) -> Result<Limits, MessageRejection> {
        self.tariff.hit(self.tariff.cost.of(message)).await
    }

    /// Whether the last message of this connection that was decided about was not admitted, by hand or in a
    /// [`ThrottledSocket`].
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.tariff.is_throttled()
    }

    /// Charges by a function of the message, instead of what the throttles cost. A message that costs 0 is not counted.
    ///
    /// ```
    /// # use axum::extract::ws::Message;
    /// # use traffik::web::ws::Messages;
    /// # fn example<T>(messages: Messages<T>) -> Messages<T> {
    /// messages.cost(|message| if matches!(message, Message::Binary(_)) { 5 } else { 1 })
    /// # }
    /// ```
    #[must_use]
    pub fn cost(mut self, cost: impl Fn(&Message) -> u64 + Send + Sync + 'static) -> Self {
        self.tariff.cost = Cost::function(cost);
        self
    }

    /// Charges 1 for each `unit` bytes that a message begins, and for an empty one: with 1024, say, 1 for each KiB. A unit
    /// of 0 is taken for 1.
    ///
    /// A message is read before it is charged. What one may hold at most is said by
    /// [`WebSocketUpgrade::max_message_size`](axum::extract::WebSocketUpgrade::max_message_size).
    #[must_use]
    pub fn cost_by_size(mut self, unit: usize) -> Self {
        self.tariff.cost = Cost::by_size(unit);
        self
    }

    /// Counts each connection by itself rather than all of a client together. Its limits are kept with it: no backend is
    /// asked, and none can be away. They are gone when it ends, so limit handshakes as well.
    #[must_use]
    pub fn per_connection(self) -> Self {
        self.charged_to(Charge::by_connection)
    }

    /// Holds each connection to limits of its own as well. They are asked first; the client is asked only if they have room,
    /// and both are charged, or neither is.
    ///
    /// A decision that waits for the backend runs in a task. It is finished even if the future that asked for it is dropped or
    /// not polled, and then the next message of the connection is decided about.
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
        self.charged_to(|charge| charge.and_by_connection(each.tariff.charge()))
    }

    /// Wraps the socket: it yields admitted messages only, and answers the others.
    pub fn throttle(&self, socket: WebSocket) -> ThrottledSocket {
        ThrottledSocket::new(socket, self.tariff.clone())
    }

    pub(super) fn into_tariff(self) -> Tariff {
        self.tariff
    }

    fn charged_to<U>(self, charge: impl FnOnce(&Charge) -> Charge) -> Messages<U> {
        let tariff = Tariff::new(charge(self.tariff.charge()), self.tariff.cost);
        Messages { tariff, throttles: PhantomData }
    }
}

impl<T, S> FromRequestParts<S> for Messages<T>
where
    T: ThrottleSet<S>,
    S: Send + Sync,
{
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ThrottleRejection> {
        let context = RequestContext::of(parts).ok_or_else(Misconfigured::no_state)?;
        let checks = T::checks(&context, &Site::Handler, parts, state).await?;
        if let Some(held) = checks.iter().find(|check| check.definition.is_held) {
            return Err(Misconfigured::places_of_messages(held.definition).into());
        }
        checks.store().map_err(Misconfigured::from)?;
        let charge = Charge::by_client(context.traffik().clone(), checks.map(Check::for_messages));
        Ok(Self { tariff: Tariff::new(charge, Cost::default()), throttles: PhantomData })
    }
}

/// A clone charges the same limits, those of the connection included.
impl<T> Clone for Messages<T> {
    fn clone(&self) -> Self {
        Self { tariff: self.tariff.clone(), throttles: PhantomData }
    }
}

impl<T> fmt::Debug for Messages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uids = self.tariff.charge().uids();
        f.debug_struct("Messages").field("uids", &uids).finish_non_exhaustive()
    }
}
