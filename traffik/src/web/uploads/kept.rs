use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
};
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot::Sender;

/// A body that is sent to the watch if it is dropped before its end was read.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) body: Body,
    /// Closed once the response is made.
    pub(super) unread: Option<Sender<Body>>,
    /// The client waits for `100 Continue`, which the first poll sends.
    pub(super) has_to_be_asked_for: bool,
}

impl HttpBody for Kept {
    type Data = Bytes;
    // The error of the inner body, at the same depth for a caller that inspects its sources.
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.has_to_be_asked_for = false;
        Pin::new(&mut self.body).poll_frame(cx).map_err(axum::Error::into_inner)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.has_to_be_asked_for || self.body.is_end_stream() {
            return;
        }
        if let Some(unread) = self.unread.take() {
            // Without a receiver the response is already made, and the body is dropped.
            let _ = unread.send(mem::take(&mut self.body));
        }
    }
}
