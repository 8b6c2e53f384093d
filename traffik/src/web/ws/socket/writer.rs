//! The writing half of the socket.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Error, extract::ws::Message};
use futures_util::{Sink, SinkExt};

use super::{ThrottledSocket, shared::Side};

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
