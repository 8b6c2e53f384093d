//! An HTTP/1.1 client that takes one step at a time, at the time that a test chooses.

use std::io;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

use crate::http::server::Server;

/// How a request declares the length of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    ContentLength,
    Chunked,
}

pub(super) const FRAMINGS: [Framing; 2] = [Framing::ContentLength, Framing::Chunked];

/// A connection to a server.
pub(super) struct Client {
    stream: BufStream<TcpStream>,
}

impl Client {
    pub(super) async fn connect(server: &Server) -> io::Result<Self> {
        Ok(Self { stream: BufStream::new(TcpStream::connect(server.address).await?) })
    }

    /// Writes a whole upload and reads the response only then, like many clients.
    pub(super) async fn upload(&mut self, path: &str, framing: Framing, length: usize) -> io::Result<Response> {
        self.announce(path, framing, length, "").await?;
        self.write(framing, length).await?;
        self.read().await
    }

    /// Writes everything before the body; `fields` are separate lines.
    pub(super) async fn announce(
        &mut self,
        path: &str,
        framing: Framing,
        length: usize,
        fields: &str,
    ) -> io::Result<()> {
        let framed = match framing {
            Framing::ContentLength => format!("content-length: {length}"),
            Framing::Chunked => "transfer-encoding: chunked".to_owned(),
        };
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{fields}{framed}\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Writes a body.
    pub(super) async fn write(&mut self, framing: Framing, length: usize) -> io::Result<()> {
        let piece = vec![b'.'; 64 * 1024];
        let mut left = length;
        while left > 0 {
            let piece = piece.get(..left.min(piece.len())).unwrap_or_default();
            left -= piece.len();
            match framing {
                Framing::ContentLength => self.stream.write_all(piece).await?,
                Framing::Chunked => {
                    self.stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                    self.stream.write_all(piece).await?;
                    self.stream.write_all(b"\r\n").await?;
                }
            }
        }
        if framing == Framing::Chunked {
            self.stream.write_all(b"0\r\n\r\n").await?;
        }
        self.stream.flush().await
    }

    /// Reads a response with a known length.
    pub(super) async fn read(&mut self) -> io::Result<Response> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or_default()];
        self.stream.read_exact(&mut body).await?;
        Ok(Response { status, body: String::from_utf8(body).map_err(io::Error::other)? })
    }

    /// Waits until the server closes the connection.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let end = self.stream.read_to_end(&mut rest).await;
        assert_eq!((rest.len(), end.unwrap_or_default()), (0, 0), "no bytes follow the response");
    }
}

/// A response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: String,
}
