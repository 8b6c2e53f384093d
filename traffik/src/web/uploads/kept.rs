use std::{
    mem,
    pin::Pin,
    sync::{Mutex, PoisonError, Weak},
    task::{Context, Poll},
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
};
use http_body::{Frame, SizeHint};

/// Where a body is put that was dropped before it was read.
pub(super) type Unread = Mutex<Option<Body>>;

/// A body that, dropped before it was read to its end, is put where its watch finds it.
#[derive(Debug)]
pub(super) struct Kept {
    body: Body,
    /// Gone, once the response is there.
    unread: Weak<Unread>,
    /// The client sends it only if it is asked to, which the first poll does.
    has_to_be_asked_for: bool,
}

impl Kept {
    pub(super) fn new(body: Body, unread: Weak<Unread>, has_to_be_asked_for: bool) -> Self {
        Self { body, unread, has_to_be_asked_for }
    }
}

impl HttpBody for Kept {
    type Data = Bytes;
    // As it is inside of the body's own: who looks for the cause finds it at the same depth.
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
        if let Some(unread) = self.unread.upgrade() {
            *unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(mem::take(&mut self.body));
        }
    }
}
