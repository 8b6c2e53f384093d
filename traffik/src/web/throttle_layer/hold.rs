//! A place is held until the last of the response is sent: a body that streams is a request that is there.

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
    // Of most responses all is there already, and of a socket's handshake nothing follows.
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Body::new(Held { body, limits: Some(limits) }))
}

/// A body, and what is held until it ends or is dropped.
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
