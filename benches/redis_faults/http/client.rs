//! A minimal HTTP client that keeps its connection.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use traffik::breaker::{BreakerState, CircuitBreaker};

use super::app::App;
use crate::{
    Result,
    decided_by::{self, FALLBACK, PRIMARY},
    load::Caller,
};

pub(super) struct Client {
    address: SocketAddr,
    path: &'static str,
    breaker: CircuitBreaker,
    connection: Option<BufReader<TcpStream>>,
}

/// The result of a request, as the client saw it.
pub(super) struct Answer {
    pub(super) asked: Instant,
    pub(super) took: Duration,
    /// Whether the breaker was open or half-open when the request was sent.
    pub(super) while_open: bool,
    /// `None` if the response was lost.
    pub(super) reply: Option<Reply>,
}

#[derive(Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) decided_by: Option<&'static str>,
}

impl Client {
    /// Creates a client. Every fourth uses the scarce limit.
    pub(super) fn new(app: &App, number: usize) -> Self {
        let path = if number.is_multiple_of(4) { "scarce" } else { "ample" };
        Self { address: app.address, path, breaker: app.breaker.clone(), connection: None }
    }

    /// Sends a request. A connection with an error is not used again.
    async fn ask(&mut self) -> io::Result<Reply> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(TcpStream::connect(self.address).await?),
        };
        let request = format!("GET /{} HTTP/1.1\r\nhost: {}\r\n\r\n", self.path, self.address);
        connection.write_all(request.as_bytes()).await?;
        let reply = read(&mut connection).await?;
        self.connection = Some(connection);
        Ok(reply)
    }
}

impl Caller for Client {
    type Call = Answer;

    async fn call(&mut self) -> Result<Answer> {
        let (asked, while_open) = (Instant::now(), self.breaker.state() != BreakerState::Closed);
        let reply = self.ask().await.ok();
        Ok(Answer { asked, took: asked.elapsed(), while_open, reply })
    }
}

/// Reads a response by its `Content-Length`.
async fn read(connection: &mut BufReader<TcpStream>) -> io::Result<Reply> {
    let (mut reply, mut length, mut line) = (Reply::default(), 0, String::new());
    if connection.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    reply.status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    loop {
        line.clear();
        connection.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
            Some((name, value)) if name == decided_by::NAME => {
                reply.decided_by = [PRIMARY, FALLBACK].into_iter().find(|who| *who == value);
            }
            Some(_) => {}
            None => break,
        }
    }
    connection.read_exact(&mut vec![0; length]).await?;
    Ok(reply)
}
