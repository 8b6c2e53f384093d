use std::{
    any::Any,
    mem,
    sync::{Arc, PoisonError},
};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, Request, Response, Version, header::EXPECT, request::Parts},
};

use super::kept::{Kept, Unread};
use crate::{engine::Traffik, web::RequestContext};

/// Marks a response that turns the request away and is no refusal: nothing is given back, and the body is unwanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Unwanted;

/// What waits with the response for what its request leaves unread.
#[derive(Debug)]
pub(in crate::web) struct Watch {
    unread: Arc<Unread>,
}

impl Watch {
    /// Watches the body of a request, if it has one that might have to be drained.
    pub(in crate::web) fn over<B: 'static>(request: &mut Request<B>, traffik: &Traffik) -> Option<Self> {
        let (version, waits) = (request.version(), waits_to_be_asked(request.headers()));
        let body = drainable(request.body_mut(), version, traffik)?;
        let unread = Arc::default();
        *body = Body::new(Kept::new(mem::take(body), Arc::downgrade(&unread), waits));
        Some(Self { unread })
    }

    /// Drains what the request left unread, if `response` turns it away.
    pub(in crate::web) fn end<B>(self, turned_away: bool, response: &mut Response<B>, traffik: &Traffik) {
        if response.extensions_mut().remove::<Unwanted>().is_none() && !turned_away {
            return;
        }
        let body = self.unread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(body) = body {
            traffik.web().drain.begin(body, traffik.clock().clone());
        }
    }
}

/// Drains the body of a request that is turned away by who holds it, unless a watch does that.
pub(in crate::web) fn drain_in_hand<B: 'static>(parts: &Parts, mut body: B) {
    let Some(traffik) = RequestContext::handle(&parts.extensions) else { return };
    if RequestContext::is_watched(&parts.extensions) || waits_to_be_asked(&parts.headers) {
        return;
    }
    if let Some(body) = drainable(&mut body, parts.version, traffik) {
        traffik.web().drain.begin(mem::take(body), traffik.clock().clone());
    }
}

/// The body, if it is one that leaves its connection in trouble.
fn drainable<'a, B: 'static>(body: &'a mut B, version: Version, traffik: &Traffik) -> Option<&'a mut Body> {
    let body = (body as &mut dyn Any).downcast_mut::<Body>()?;
    let is_drainable = !body.is_end_stream() && version <= Version::HTTP_11 && !traffik.web().drain.is_off();
    is_drainable.then_some(body)
}

/// Whether the client sends its body only once it is asked to, which the first poll of the body does.
fn waits_to_be_asked(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
