//! Holds a permit until the last part of the response is sent: a request with a streaming body is still running.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use http_body::{Frame, SizeHint};

use crate::engine::Limits;

pub(super) fn hold(response: Response, limits: Limits) -> Response {
    // Most responses are complete here, and nothing follows the handshake of a socket.
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Body::new(Held { body, limits: Some(limits) }))
}

/// A body, and the permits that are held until it ends or is dropped.
struct Held {
    body: Body,
    limits: Option<Limits>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if matches!(frame, None | Some(Err(_))) {
            self.limits = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
