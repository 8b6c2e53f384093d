//! What the handler sends.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Error, extract::ws::Message};
use futures_sink::Sink;
use thiserror::Error;

use super::{ThrottledSocket, wakers::Side};

/// Nothing can be sent any more.
#[derive(Debug, Error)]
#[error("the connection is closed")]
struct Closed;

impl ThrottledSocket {
    fn open(&self) -> Result<(), Error> {
        if self.stage.is_over() { Err(Error::new(Closed)) } else { Ok(()) }
    }
}

impl Sink<Message> for ThrottledSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.open()?;
        self.line.poll_ready(Side::Writer, cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.open()?;
        self.controls.note_sent(&message);
        self.line.start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.open()?;
        self.line.poll_flush(Side::Writer, cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.stage.is_over() {
            return Poll::Ready(Ok(()));
        }
        self.line.poll_close(Side::Writer, cx)
    }
}
