use std::task::{Context, Poll};

use axum::http::{Method, Request, Response};
use tower_service::Service;

use super::ResponseFuture;
use crate::{
    engine::Traffik,
    web::{RequestContext, uploads::Watch},
};

/// The service of a [`TraffikLayer`](super::TraffikLayer).
#[derive(Clone, Debug)]
pub struct TraffikService<S> {
    pub(super) inner: S,
    pub(super) traffik: Traffik,
    pub(super) exposes: bool,
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
        ResponseFuture::new(self.inner.call(request), ledger, watch, is_connect)
    }
}
