use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, HttpBody},
    http::{Response, StatusCode, header::CONTENT_ENCODING},
};
use pin_project_lite::pin_project;
use triomphe::Arc;

use crate::{
    engine::Limit,
    web::{
        ledger::Ledger,
        response::{Refused, add_fields, is_shared, keep_from_sharing},
        uploads::Watch,
    },
};

pin_project! {
    /// The future of a [`TraffikService`](super::TraffikService).
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: F,
        // `None` if an outer layer completes the response.
        ledger: Option<Arc<Ledger>>,
        // Dropped after the future, so that it receives the body that the future leaves unread.
        watch: Option<Watch>,
        // Whether the request opens a tunnel if it succeeds: a WebSocket over HTTP/2.
        is_connect: bool,
        // Boxed, because it is rare and this future is moved often.
        giving_back: Option<Box<GivingBack<B>>>,
    }
}

/// A response that waits until the charges of its request are refunded.
struct GivingBack<B> {
    response: Response<B>,
    done: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn new(inner: F, ledger: Option<Arc<Ledger>>, watch: Option<Watch>, is_connect: bool) -> Self {
        Self { inner, ledger, watch, is_connect, giving_back: None }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.giving_back.is_none() {
            let mut response = ready!(this.inner.poll(cx))?;
            let Some(ledger) = this.ledger else { return Poll::Ready(Ok(response)) };
            let refused = response.extensions_mut().remove::<Refused>();
            let is_refused = refused.is_some();
            if let Some(refused) = refused {
                refused.record(ledger, response.headers_mut());
            }
            if let Some(what) = goes_on(&response, *this.is_connect) {
                ledger.warn_of_ending_permits(what);
            }
            if is_refused {
                // Overrides what a middleware in between set.
                keep_from_sharing(response.headers_mut());
            }
            if let Some(watch) = this.watch.take() {
                watch.end(is_refused, &mut response, ledger.traffik());
            }
            if !is_refused && ledger.may_refund() {
                let (parts, body) = response.into_parts();
                ledger.refund_by(&parts);
                response = Response::from_parts(parts, body);
            }
            if !(is_refused && ledger.has_charges()) {
                add_limits(&mut response, ledger, is_refused);
                return Poll::Ready(Ok(response));
            }
            let charged = Arc::clone(ledger);
            let done = Box::pin(async move { charged.give_back().await });
            *this.giving_back = Some(Box::new(GivingBack { response, done }));
        }
        if let Some(giving_back) = this.giving_back {
            ready!(giving_back.done.as_mut().poll(cx));
        }
        match (this.giving_back.take(), this.ledger) {
            (Some(mut given_back), Some(ledger)) => {
                add_limits(&mut given_back.response, ledger, true);
                Poll::Ready(Ok(given_back.response))
            }
            _ => Poll::Pending,
        }
    }
}

/// Returns a name for what goes on after the head of a response: a WebSocket, or a body of unknown length. A body that
/// a layer encodes has no length either, and is excluded.
fn goes_on<B: 'static>(response: &Response<B>, is_connect: bool) -> Option<&'static str> {
    let status = response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS || (is_connect && status.is_success()) {
        return Some("a WebSocket");
    }
    let body = (response.body() as &dyn Any).downcast_ref::<Body>()?;
    let streams = !body.is_end_stream() && body.size_hint().exact().is_none();
    (streams && !response.headers().contains_key(CONTENT_ENCODING)).then_some("a streaming response")
}

/// Adds the fields for all limits that the request met, unless a cache may serve the response to another client.
fn add_limits<B>(response: &mut Response<B>, ledger: &mut Arc<Ledger>, is_refused: bool) {
    let add = |limits: &[&Limit]| {
        if !(limits.is_empty() || is_shared(response.status(), response.headers())) {
            add_fields(response.headers_mut(), limits, is_refused);
        }
    };
    // The request is dropped by now, unless the application kept its extensions.
    match Arc::get_mut(ledger) {
        Some(ledger) => ledger.show_mut(add),
        None => ledger.show(add),
    }
    if ledger.is_exposed() {
        expose(response, ledger);
    }
    // Whoever still holds the request, for instance a task with a `Limiter`, keeps no permit by it.
    if Arc::strong_count(ledger) > 1 {
        ledger.end();
    }
}

#[cold]
fn expose<B>(response: &mut Response<B>, ledger: &Ledger) {
    if let Some(limits) = ledger.snapshot() {
        response.extensions_mut().insert(limits);
    }
}

impl<F: fmt::Debug, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("inner", &self.inner).finish_non_exhaustive()
    }
}
