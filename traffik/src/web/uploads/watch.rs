use std::{any::Any, mem};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, Request, Response, Version, header::EXPECT, request::Parts},
};
use tokio::sync::oneshot::{Receiver, channel};

use super::kept::Kept;
use crate::{
    engine::Traffik,
    web::{RequestContext, rejection::Unwanted},
};

/// Receives the unread part of a request's body.
#[derive(Debug)]
pub(in crate::web) struct Watch(Receiver<Body>);

impl Watch {
    /// Watches the body of a request, if the body may have to be drained.
    pub(in crate::web) fn over<B: 'static>(request: &mut Request<B>, traffik: &Traffik) -> Option<Self> {
        let (version, has_to_be_asked_for) = (request.version(), has_to_be_asked_for(request.headers()));
        let body = drainable(request.body_mut(), version, traffik)?;
        let (sender, receiver) = channel();
        *body = Body::new(Kept { body: mem::take(body), unread: Some(sender), has_to_be_asked_for });
        Some(Self(receiver))
    }

    /// Drains the unread part of the body if `response` rejects the request.
    pub(in crate::web) fn end<B>(mut self, is_refused: bool, response: &mut Response<B>, traffik: &Traffik) {
        let is_unwanted = response.extensions_mut().remove::<Unwanted>().is_some();
        if let (true, Ok(body)) = (is_unwanted || is_refused, self.0.try_recv()) {
            traffik.requests().drain.begin(body, traffik.clock().clone());
        }
    }
}

/// Drains the body of a rejected request whose body was not read, unless a watch does.
pub(in crate::web) fn drain_unread<B: 'static>(parts: &Parts, mut body: B) {
    let Some(traffik) = RequestContext::handle(&parts.extensions) else { return };
    if RequestContext::is_watched(&parts.extensions) || has_to_be_asked_for(&parts.headers) {
        return;
    }
    if let Some(body) = drainable(&mut body, parts.version, traffik) {
        traffik.requests().drain.begin(mem::take(body), traffik.clock().clone());
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
