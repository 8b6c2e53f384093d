use std::{error::Error, fmt, ops::RangeInclusive};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, http::Response},
};

use super::{PATIENCE, check};

/// A client with a connection.
pub(super) struct Visitor {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// A response to a handshake that refuses the upgrade.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) retry_after: String,
    problem: Value,
}

impl Visitor {
    /// Connects. The outer error is that of the connection.
    pub(super) async fn connect(url: &str) -> Result<Result<Self, Refusal>, Box<dyn Error>> {
        match connect_async(url).await {
            Ok((socket, _)) => Ok(Ok(Self { socket })),
            Err(tungstenite::Error::Http(response)) => Ok(Err(Refusal::new(&response))),
            Err(error) => Err(error.into()),
        }
    }

    /// Closes the connection.
    pub(super) async fn leave(mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.socket.close(None).await?)
    }

    /// Resets the connection, as a crash does.
    pub(super) fn vanish(self) -> Result<(), Box<dyn Error>> {
        if let MaybeTlsStream::Plain(stream) = self.socket.get_ref() {
            stream.set_zero_linger()?;
        }
        Ok(())
    }

    /// Sends these messages and expects an echo of each. Prints the last one.
    pub(super) async fn say_all(&mut self, nths: RangeInclusive<u32>) -> Result<(), Box<dyn Error>> {
        for nth in nths.clone() {
            let message = json!({ "text": format!("message {nth}") });
            let answer = self.ask(&message.to_string()).await?;
            if nth == *nths.end() {
                println!("  {message} -> {answer}");
            }
            check("the answer", &answer, &json!({ "type": "message", "echo": message }))?;
        }
        Ok(())
    }

    pub(super) async fn expect(&mut self, message: &Value, expected: &Value) -> Result<(), Box<dyn Error>> {
        self.expect_of(&message.to_string(), expected).await
    }

    pub(super) async fn expect_of(&mut self, text: &str, expected: &Value) -> Result<(), Box<dyn Error>> {
        let answer = self.ask(text).await?;
        println!("  {text} -> {answer}");
        check("the answer", &answer, expected)
    }

    async fn ask(&mut self, text: &str) -> Result<Value, Box<dyn Error>> {
        self.socket.send(Message::Text(text.into())).await?;
        let answer = timeout(PATIENCE, self.socket.next()).await?.ok_or("the connection ended")??;
        Ok(serde_json::from_str(answer.to_text()?)?)
    }
}

impl Refusal {
    fn new(response: &Response<Option<Vec<u8>>>) -> Self {
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let body = response.body().as_deref().unwrap_or_default();
        Self {
            status: response.status().as_u16(),
            retry_after: retry_after.unwrap_or_default().to_owned(),
            problem: serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    /// Returns whether only the limit with this uid refused the handshake.
    pub(super) fn is_over(&self, uid: &str) -> bool {
        self.problem.get("violated-policies") == Some(&json!([uid]))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.problem.get("detail").and_then(Value::as_str).unwrap_or_default();
        write!(f, "{}, {detail}", self.status)
    }
}

impl Error for Refusal {}
