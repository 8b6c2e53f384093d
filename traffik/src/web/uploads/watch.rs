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

/// Receives what a request leaves unread.
#[derive(Debug)]
pub(in crate::web) struct Watch(Receiver<Body>);

impl Watch {
    /// Watches the body of a request, if it has one that might have to be drained.
    pub(in crate::web) fn over<B: 'static>(request: &mut Request<B>, traffik: &Traffik) -> Option<Self> {
        let (version, has_to_be_asked_for) = (request.version(), has_to_be_asked_for(request.headers()));
        let body = drainable(request.body_mut(), version, traffik)?;
        let (sender, receiver) = channel();
        *body = Body::new(Kept { body: mem::take(body), unread: Some(sender), has_to_be_asked_for });
        Some(Self(receiver))
    }

    /// Drains what the request left unread, if `response` turns it away.
    pub(in crate::web) fn end<B>(mut self, turned_away: bool, response: &mut Response<B>, traffik: &Traffik) {
        let is_unwanted = response.extensions_mut().remove::<Unwanted>().is_some();
        if let (true, Ok(body)) = (is_unwanted || turned_away, self.0.try_recv()) {
            traffik.requests().drain.begin(body, traffik.clock().clone());
        }
    }
}

/// Drains the body of a request that is turned away by who holds it, unless a watch does that.
pub(in crate::web) fn drain_in_hand<B: 'static>(parts: &Parts, mut body: B) {
    let Some(traffik) = RequestContext::handle(&parts.extensions) else { return };
    if RequestContext::is_watched(&parts.extensions) || has_to_be_asked_for(&parts.headers) {
        return;
    }
    if let Some(body) = drainable(&mut body, parts.version, traffik) {
        traffik.requests().drain.begin(mem::take(body), traffik.clock().clone());
    }
}

/// The body, if it is one that leaves its connection in trouble.
fn drainable<'a, B: 'static>(body: &'a mut B, version: Version, traffik: &Traffik) -> Option<&'a mut Body> {
    let body = (body as &mut dyn Any).downcast_mut::<Body>()?;
    let is_drainable = !body.is_end_stream() && version <= Version::HTTP_11 && !traffik.requests().drain.is_off();
    is_drainable.then_some(body)
}

/// Whether the client sends its body only once it is asked to, which the first poll of the body does.
fn has_to_be_asked_for(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
