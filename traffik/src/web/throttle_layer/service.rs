use std::{
    fmt,
    marker::PhantomData,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    http::Request,
    response::{IntoResponse, Response},
};
use tower_service::Service;

use super::hold::hold;
use crate::{
    engine::Limits,
    web::{
        Site, ThrottleRejection, ThrottleSet,
        site::LayerRules,
        throttled::{Sought, Types, check_request},
        uploads::drain_unread,
    },
};

/// The service of a [`ThrottleLayer`](super::ThrottleLayer).
pub struct ThrottleService<S, T> {
    pub(super) inner: S,
    pub(super) rules: LayerRules,
    pub(super) marks: bool,
    pub(super) throttles: PhantomData<fn() -> T>,
}

impl<S, T, B> Service<Request<B>> for ThrottleService<S, T>
where
    S: Service<Request<B>, Response: IntoResponse, Future: Send> + Clone + Send + 'static,
    T: ThrottleSet<()>,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    /// Calls the inner service only if the limit has room.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        checked(take_ready(&mut self.inner), Types::<T>::new(), self.rules.clone(), self.marks, request)
    }
}

/// Checks a request, and calls a service that is ready if it is admitted.
pub(in crate::web) fn checked<S, L, B>(
    mut service: S,
    sought: L,
    rules: LayerRules,
    marks: bool,
    request: Request<B>,
) -> Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>
where
    S: Service<Request<B>, Response: IntoResponse, Future: Send> + Send + 'static,
    L: Sought<()> + 'static,
    B: Send + 'static,
{
    let site = Site::Layer(rules);
    Box::pin(async move {
        let (mut parts, body) = request.into_parts();
        let held = match check_request(sought, &mut parts, &(), &site).await {
            Ok(limits) => Some(limits).filter(Limits::is_held),
            // The ledger has the limits that refuse.
            Err(ThrottleRejection::Limited(_)) if marks => None,
            Err(rejection) => {
                drain_unread(&parts, body);
                return Ok(rejection.into_response());
            }
        };
        let response = service.call(Request::from_parts(parts, body)).await?.into_response();
        Ok(match held {
            Some(limits) => hold(response, limits),
            None => response,
        })
    })
}

/// Returns a service on which `poll_ready` was called, and leaves a clone, which may not be ready.
pub(in crate::web) fn take_ready<S: Clone>(service: &mut S) -> S {
    let clone = service.clone();
    mem::replace(service, clone)
}

impl<S: Clone, T> Clone for ThrottleService<S, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), rules: self.rules.clone(), marks: self.marks, throttles: PhantomData }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for ThrottleService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottleService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
