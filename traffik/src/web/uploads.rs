//! Bodies of refused requests.
//!
//! A server that responds before it has read the body closes the connection. Unread data in its buffer then causes a
//! reset, and most clients discard the response that they have not read yet: the 429. So the body is read up to a bound
//! while the response is sent.
//!
//! - A request with a body over HTTP/1.1 gets a [`Kept`] body from the outermost
//!   [`TraffikLayer`](super::TraffikLayer). When it is dropped, it passes on what is unread, and [`Watch`] drains that
//!   if the response is a refusal. Other requests are left as they are: HTTP/2 resets a stream, and not the connection.
//! - A task reads and drops the frames, up to the bounds of the app.
//! - A refused request whose client waits for `100 Continue` is not drained, and the client sends no body.

use std::{
    any::Any,
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, Request, Response, Version, header::EXPECT, request::Parts},
};
use http_body::{Frame, SizeHint};
use tokio::{
    runtime::Handle,
    sync::oneshot::{Receiver, Sender, channel},
    task::consume_budget,
};

use super::{RequestContext, rejection::Unwanted};
use crate::engine::Traffik;

/// Receives the unread part of a request's body.
#[derive(Debug)]
pub(super) struct Watch(Receiver<Body>);

impl Watch {
    /// Watches the body of a request, if the body may have to be drained.
    pub(super) fn over<B: 'static>(request: &mut Request<B>, traffik: &Traffik) -> Option<Self> {
        let version = request.version();
        // Most requests have no such body, and their headers are not read.
        drainable(request.body_mut(), version, traffik)?;
        let has_to_be_asked_for = has_to_be_asked_for(request.headers());
        let body = drainable(request.body_mut(), version, traffik)?;
        let (sender, receiver) = channel();
        *body = Body::new(Kept { body: mem::take(body), unread: Some(sender), has_to_be_asked_for });
        Some(Self(receiver))
    }

    /// Drains the unread part of the body if `response` rejects the request.
    pub(super) fn end<B>(mut self, is_refused: bool, response: &mut Response<B>, traffik: &Traffik) {
        let is_unwanted = response.extensions_mut().remove::<Unwanted>().is_some();
        if let (true, Ok(body)) = (is_unwanted || is_refused, self.0.try_recv()) {
            drain(body, traffik);
        }
    }
}

/// Drains the body of a rejected request whose body was not read, unless a watch does.
pub(super) fn drain_unread<B: 'static>(parts: &Parts, mut body: B) {
    let Some(traffik) = RequestContext::handle(&parts.extensions) else { return };
    if RequestContext::is_watched(&parts.extensions) || has_to_be_asked_for(&parts.headers) {
        return;
    }
    if let Some(body) = drainable(&mut body, parts.version, traffik) {
        drain(mem::take(body), traffik);
    }
}

/// Returns the body if leaving it unread would reset the connection.
fn drainable<'a, B: 'static>(body: &'a mut B, version: Version, traffik: &Traffik) -> Option<&'a mut Body> {
    let body = (body as &mut dyn Any).downcast_mut::<Body>()?;
    let is_drainable = !body.is_end_stream() && version <= Version::HTTP_11 && !traffik.requests().drain.is_off();
    is_drainable.then_some(body)
}

/// Returns whether the client waits for `100 Continue`, which the first poll of the body sends.
fn has_to_be_asked_for(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Reads a body in a task, while the response is sent.
fn drain(body: Body, traffik: &Traffik) {
    let (bounds, clock) = (&traffik.requests().drain, traffik.clock().clone());
    // Without a runtime nothing comes over TCP either.
    if let (Ok(runtime), Ok(permit)) = (Handle::try_current(), Arc::clone(&bounds.bodies).try_acquire_owned()) {
        let (bytes, time) = (bounds.bytes, bounds.time);
        runtime.spawn(async move {
            read(body, bytes, clock.sleep(time)).await;
            drop(permit);
        });
    }
}

async fn read(mut body: Body, mut bytes: u64, end: impl Future<Output = ()>) {
    let mut end = pin!(end);
    while bytes > 0 {
        // The end is polled first, so that a body that is always ready ends too.
        let frame = poll_fn(|cx| match end.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => Pin::new(&mut body).poll_frame(cx),
        });
        let Some(Ok(frame)) = frame.await else { return };
        // An empty frame counts as one byte, since it is work as well.
        let length = frame.data_ref().map_or(1, |data| data.len().max(1));
        bytes = bytes.saturating_sub(length.try_into().unwrap_or(u64::MAX));
        consume_budget().await;
    }
}

/// A body that is sent to the watch if it is dropped before its end was read.
#[derive(Debug)]
struct Kept {
    body: Body,
    /// Closed once the response is made.
    unread: Option<Sender<Body>>,
    /// The client waits for `100 Continue`, which the first poll sends.
    has_to_be_asked_for: bool,
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
