//! The same program, talked to over TCP: what comes back, and an error where it is not what it should be.
//!
//! Its limits go by a clock that is moved by hand.

use std::{error::Error, net::Ipv4Addr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};
use traffik::{Traffik, backend::MemoryBackend, test::ManualClock};

/// Whatever is expected comes within this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves the program, talks to it, shows the answers, and stops it in order.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let traffik = Traffik::builder(MemoryBackend::new("myapp").clock(clock.clone())).build()?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("ws://{}/ws/chat", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };

    let talking = async {
        show(&url, &clock).await?;
        drop(stop);
        Ok(())
    };
    tokio::try_join!(super::serve(listener, traffik, shutdown), talking)?;
    Ok(())
}

async fn show(url: &str, clock: &ManualClock) -> Result<(), Box<dyn Error>> {
    let mut visitors = Vec::new();
    for _ in 0..10 {
        visitors.push(Visitor::connect(url).await?);
    }
    println!("connections 1 to 10: 101 Switching Protocols");
    refused(url).await?;
    let [one, two, three, four, ..] = visitors.as_mut_slice() else { return Err("too few connections".into()) };

    println!("\nThe burst of a connection is 20 messages in 10 seconds:");
    one.say_all(1..=20).await?;
    one.expect(&json!({ "text": "message 21" }), &over(10)).await?;
    one.expect(&json!({ "text": "message 22" }), &over(10)).await?;

    println!("\nAnother connection of the same client has a burst of its own, and all share 60 in a minute:");
    two.say_all(21..=40).await?;
    three.say_all(41..=60).await?;
    four.expect(&json!({ "text": "message 61" }), &over(60)).await?;

    println!("\nA minute later, on the connection that was there all the time:");
    clock.advance(Duration::from_secs(60));
    one.say_all(61..=61).await?;
    one.expect_of("{", &json!({ "type": "error", "error": "This is no JSON" })).await?;
    for visitor in &mut visitors {
        visitor.socket.close(None).await?;
    }
    Ok(())
}

/// What a message over a limit is answered with.
fn over(retry_after: u64) -> Value {
    json!({ "type": "rate_limit", "error": "Too many messages", "retry_after": retry_after })
}

/// The handshake that is over the limit.
async fn refused(url: &str) -> Result<(), Box<dyn Error>> {
    let Err(tungstenite::Error::Http(response)) = connect_async(url).await else {
        return Err("connection 11 was not refused".into());
    };
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    println!("connection 11: {}, retry-after: {}", response.status(), retry_after.unwrap_or_default());
    check("connection 11", &(response.status().as_u16(), retry_after), &(429, Some("60")))
}

struct Visitor {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Visitor {
    async fn connect(url: &str) -> Result<Self, Box<dyn Error>> {
        let (socket, _) = connect_async(url).await?;
        Ok(Self { socket })
    }

    /// Says something so many times, which should all be echoed. The last is shown.
    async fn say_all(&mut self, nths: std::ops::RangeInclusive<u32>) -> Result<(), Box<dyn Error>> {
        for nth in nths.clone() {
            let said = json!({ "text": format!("message {nth}") });
            let answer = self.ask(&said.to_string()).await?;
            if nth == *nths.end() {
                println!("  {said} -> {answer}");
            }
            check("the answer", &answer, &json!({ "type": "message", "echo": said }))?;
        }
        Ok(())
    }

    async fn expect(&mut self, said: &Value, expected: &Value) -> Result<(), Box<dyn Error>> {
        self.expect_of(&said.to_string(), expected).await
    }

    async fn expect_of(&mut self, said: &str, expected: &Value) -> Result<(), Box<dyn Error>> {
        let answer = self.ask(said).await?;
        println!("  {said} -> {answer}");
        check("the answer", &answer, expected)
    }

    async fn ask(&mut self, text: &str) -> Result<Value, Box<dyn Error>> {
        self.socket.send(Message::Text(text.into())).await?;
        let answer = timeout(PATIENCE, self.socket.next()).await?.ok_or("the connection ended")??;
        Ok(serde_json::from_str(answer.to_text()?)?)
    }
}

fn check<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), Box<dyn Error>> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn what_comes_back_is_what_should() {
        super::run().await.unwrap();
    }
}
