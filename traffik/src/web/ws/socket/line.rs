use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use axum::{
    Error,
    extract::ws::{Message, WebSocket},
};
use futures_core::Stream;
use futures_sink::Sink;

use super::wakers::{Side, Wakers};

/// What is read: a message, an error, or the end.
pub(super) type Read = Option<Result<Message, Error>>;

/// The socket, which its reader and its writer may both write to.
#[derive(Debug)]
pub(super) struct Line {
    socket: WebSocket,
    wakers: Arc<Wakers>,
    /// The same as it is shown to the socket.
    waker: Waker,
}

impl Line {
    pub(super) fn new(socket: WebSocket) -> Self {
        let wakers = Arc::<Wakers>::default();
        Self { socket, waker: Waker::from(Arc::clone(&wakers)), wakers }
    }

    pub(super) fn socket(&self) -> &WebSocket {
        &self.socket
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        Pin::new(&mut self.socket).poll_next(cx)
    }

    pub(super) fn poll_ready(&mut self, side: Side, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.wakers.register(side, cx.waker());
        Pin::new(&mut self.socket).poll_ready(&mut Context::from_waker(&self.waker))
    }

    pub(super) fn start_send(&mut self, message: Message) -> Result<(), Error> {
        Pin::new(&mut self.socket).start_send(message)
    }

    pub(super) fn poll_flush(&mut self, side: Side, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.wakers.register(side, cx.waker());
        Pin::new(&mut self.socket).poll_flush(&mut Context::from_waker(&self.waker))
    }

    pub(super) fn poll_close(&mut self, side: Side, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.wakers.register(side, cx.waker());
        Pin::new(&mut self.socket).poll_close(&mut Context::from_waker(&self.waker))
    }

    /// Has whoever waits to write look again.
    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }
}
