//! The layer that puts the handle into every request, and completes every response.

use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, HttpBody},
    http::{Method, Request, Response, StatusCode, header::CONTENT_ENCODING},
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use triomphe::Arc;

use super::{
    RequestContext,
    context::Ledger,
    response::{Refused, add_fields, is_shared, keep_from_sharing},
    uploads::Watch,
};
use crate::engine::{Limit, Traffik};

/// Layer that makes a [`Traffik`] available to throttles and handlers. See [`Traffik::layer`].
#[derive(Clone, Debug)]
pub struct TraffikLayer {
    traffik: Traffik,
    exposes: bool,
}

impl Traffik {
    /// Returns the layer that makes this handle available to throttles and handlers. Add it after the routes, their
    /// fallback, and every layer that throttles: axum runs the layer that was added last first.
    ///
    /// The layer does four things:
    ///
    /// - It puts the handle into each request. Handlers extract it as a [`Traffik`] argument.
    /// - It adds the RateLimit fields to each response whose request met a limit. If the
    ///   response already has one of them, it adds none.
    /// - It refunds the charges of a request that a later limit rejects.
    /// - It [drains](crate::TraffikBuilder::drain_limit) the body of a rejected request, which lets the client read the
    ///   response.
    ///
    /// With [`expose`](TraffikLayer::expose) it also puts the limits that the request met into the extensions of the response.
    ///
    /// The layer recognizes a rejection by a mark in the extensions of the response. Middleware between this layer and a
    /// throttle, which is added before this layer, can replace the response of a throttle: it must then copy the
    /// extensions. Without them nothing is refunded or drained.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(traffik.layer());
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    #[must_use]
    pub fn layer(&self) -> TraffikLayer {
        #[cfg(feature = "file")]
        self.is_served();
        TraffikLayer { traffik: self.clone(), exposes: false }
    }
}

impl TraffikLayer {
    /// Puts the [`Limits`](crate::Limits) that the request met into the extensions of the response, for middleware outside of
    /// this layer.
    ///
    /// ```
    /// use axum::{Router, extract::Request, middleware::{Next, from_fn}, response::Response, routing::get};
    /// use traffik::{Limits, MemoryBackend, Traffik};
    ///
    /// async fn log(request: Request, next: Next) -> Response {
    ///     let response = next.run(request).await;
    ///     if let Some(limits) = response.extensions().get::<Limits>() {
    ///         let tightest = limits.tightest();
    ///         println!("{}: {} left", tightest.uid(), tightest.remaining());
    ///     }
    ///     response
    /// }
    ///
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// let app: Router = Router::new()
    ///     .route("/", get(|| async { "hello" }))
    ///     .layer(traffik.layer().expose())
    ///     .layer(from_fn(log));
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// The limits are those that the RateLimit fields show, in the same state, and those that no field shows because they are
    /// hidden or in a dry run: after refunds, once each. They are there also where the fields are not, because a shared cache
    /// may store the response. They hold no permit. A response to a request that no limit counted has none. To read them
    /// inside of this layer, see [`Limits::met_by`](crate::Limits::met_by).
    #[must_use]
    pub fn expose(self) -> Self {
        Self { exposes: true, ..self }
    }
}

impl<S> Layer<S> for TraffikLayer {
    type Service = TraffikService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraffikService { inner, traffik: self.traffik.clone(), exposes: self.exposes }
    }
}

/// The service of a [`TraffikLayer`].
#[derive(Clone, Debug)]
pub struct TraffikService<S> {
    inner: S,
    traffik: Traffik,
    exposes: bool,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for TraffikService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ReqBody: 'static,
    ResBody: 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let ledger = RequestContext::enter(request.extensions_mut(), &self.traffik, self.exposes);
        let watch = ledger.as_ref().and_then(|_| Watch::over(&mut request, &self.traffik));
        let is_connect = request.method() == Method::CONNECT;
        let ledger = ledger.map(WatchedLedger);
        ResponseFuture { inner: self.inner.call(request), ledger, watch, is_connect, giving_back: None }
    }
}

pin_project! {
    /// The future of a [`TraffikService`].
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: F,
        // `None` if an outer layer completes the response.
        ledger: Option<WatchedLedger>,
        // Dropped after the future, so that it receives the body that the future leaves unread.
        watch: Option<Watch>,
        // Whether the request opens a tunnel if it succeeds: a WebSocket over HTTP/2.
        is_connect: bool,
        // Boxed, because it is rare and this future is moved often.
        giving_back: Option<Box<GivingBack<B>>>,
    }
}

/// The ledger of a request, until it has a response or is dropped, for instance because the client disconnected.
struct WatchedLedger(Arc<Ledger>);

impl Drop for WatchedLedger {
    fn drop(&mut self) {
        end(&self.0);
    }
}

/// A response that waits until the charges of its request are refunded.
struct GivingBack<B> {
    response: Response<B>,
    done: Pin<Box<dyn Future<Output = ()> + Send>>,
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
            let Some(WatchedLedger(ledger)) = this.ledger else { return Poll::Ready(Ok(response)) };
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
            (Some(mut given_back), Some(WatchedLedger(ledger))) => {
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
    end(ledger);
}

/// Ends the ledger of a request. A task that still has a part of the request, such as a `Limiter`, keeps no permit by it.
fn end(ledger: &Arc<Ledger>) {
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
