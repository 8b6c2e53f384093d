//! Apps with a WebSocket on their own port, and clients for them.
#![expect(clippy::expect_used, reason = "a test whose server cannot be reached fails")]

use std::{future::ready, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{WebSocketUpgrade, ws},
    response::Response,
    routing::any,
};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, protocol::CloseFrame},
};
use traffik::{
    Traffik,
    backend::MemoryBackend,
    test::ManualClock,
    web::ws::{Messages, ThrottledSocket},
};

/// The time within which an expected event arrives, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time without an event after which none is expected.
const A_WHILE: Duration = Duration::from_millis(100);

/// Returns a handle on a clock that the test moves.
#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
pub(crate) fn traffik() -> (Traffik, ManualClock) {
    let clock = ManualClock::new();
    (Traffik::new(MemoryBackend::with_clock("test", clock.clone())).unwrap(), clock)
}

/// The results of handlers whose connections ended.
pub(crate) type Ends<T> = mpsc::UnboundedReceiver<T>;

/// Serves a WebSocket at `/` with the limits `T`. The result of the handler is sent when its connection ends.
pub(crate) async fn serve<T, F, Fut>(traffik: &Traffik, handler: F) -> (SocketAddr, Ends<Fut::Output>)
where
    T: 'static,
    Messages<T>: axum::extract::FromRequestParts<(), Rejection = traffik::ThrottleRejection>,
    F: Fn(ws::WebSocket, Messages<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Send> + Send + 'static,
{
    let (sender, ends) = mpsc::unbounded_channel();
    let handler = Arc::new(handler);
    let route = move |messages: Messages<T>, upgrade: WebSocketUpgrade| {
        let (handler, sender) = (Arc::clone(&handler), sender.clone());
        ready::<Response>(upgrade.on_upgrade(move |socket| async move {
            // A test may have dropped the receiver.
            let _ = sender.send(handler(socket, messages).await);
        }))
    };
    (start(Router::new().route("/", any(route)).layer(traffik.layer())).await, ends)
}

pub(crate) async fn start(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port to listen on");
    let address = listener.local_addr().expect("its address");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Same as `serve`, with a socket that `set_up` configures and an echo handler. The result is the number of messages.
pub(crate) async fn echoing<T>(
    traffik: &Traffik,
    set_up: impl Fn(ws::WebSocket, Messages<T>) -> ThrottledSocket + Copy + Send + Sync + 'static,
) -> (SocketAddr, Ends<usize>)
where
    T: 'static,
    Messages<T>: axum::extract::FromRequestParts<(), Rejection = traffik::ThrottleRejection>,
{
    serve::<T, _, _>(traffik, move |socket, messages| echo(set_up(socket, messages))).await
}

/// Echoes each text and each binary message until the end, and returns their number.
pub(crate) async fn echo(mut socket: ThrottledSocket) -> usize {
    let mut echoed = 0;
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, ws::Message::Text(_) | ws::Message::Binary(_)) {
            echoed += 1;
            if socket.send(message).await.is_err() {
                break;
            }
        }
    }
    echoed
}

/// Waits for the result of a connection that ends.
pub(crate) async fn ended<T>(ends: &mut Ends<T>) -> T {
    timeout(PATIENCE, ends.recv()).await.expect("a connection that ends").expect("a handler that returns")
}

/// Returns whether no connection ends for a while.
pub(crate) async fn goes_on<T>(ends: &mut Ends<T>) -> bool {
    timeout(A_WHILE, ends.recv()).await.is_err()
}

/// A connected client.
#[derive(Debug)]
pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address, "/").await.expect("an upgrade").0
    }

    pub(crate) async fn try_connect(
        address: SocketAddr,
        path: &str,
    ) -> tungstenite::Result<(Self, tungstenite::handshake::client::Response)> {
        let (socket, response) = connect_async(format!("ws://{address}{path}")).await?;
        Ok((Self(socket), response))
    }

    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.expect("a message that is sent");
    }

    pub(crate) async fn next(&mut self) -> Option<tungstenite::Result<Message>> {
        timeout(PATIENCE, self.0.next()).await.expect("something that comes")
    }

    pub(crate) async fn message(&mut self) -> Message {
        self.next().await.expect("no end").expect("no error")
    }

    pub(crate) async fn text(&mut self) -> String {
        self.message().await.into_text().expect("a text").to_string()
    }

    /// Sends a text and returns the reply.
    pub(crate) async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.text().await
    }

    /// Returns the next close frame, after which the stream must end.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let Message::Close(Some(CloseFrame { code, reason })) = self.message().await else {
            return (0, "no close frame".to_owned());
        };
        assert!(self.next().await.is_none());
        (code.into(), reason.to_string())
    }

    /// Returns whether nothing arrives for a while.
    pub(crate) async fn hears_nothing(&mut self) -> bool {
        timeout(A_WHILE, self.0.next()).await.is_err()
    }
}

/// Returns the notification for a message over the limit.
pub(crate) fn too_many(retry_after: u64) -> String {
    format!(r#"{{"type":"rate_limit","error":"Too many messages","retry_after":{retry_after}}}"#)
}

/// Returns the notification for a message whose limits could not be checked.
pub(crate) fn unchecked(retry_after: u64) -> String {
    format!(r#"{{"type":"rate_limit","error":"Limits cannot be checked","retry_after":{retry_after}}}"#)
}
