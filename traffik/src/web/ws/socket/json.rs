use axum::{Error, extract::ws::Message};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::ThrottledSocket;

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
