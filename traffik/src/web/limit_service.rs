use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    http::Request,
    response::{IntoResponse, Response},
};
use tower_service::Service;

#[cfg(feature = "file")]
use super::limit_set::of_file;
use super::{
    limit_set::{LimitSet, Uid},
    site::LayerRules,
    throttle_layer::{checked, take_ready},
};
#[cfg(feature = "file")]
use crate::engine::Traffik;
use crate::one_or_more::OneOrMore;

/// The service of a [`LimitLayer`](super::LimitLayer), or of the layer with the limits of a file.
#[derive(Clone, Debug)]
pub struct LimitService<S> {
    pub(super) inner: S,
    pub(super) limits: LayerLimits,
}

/// The limits that a layer checks.
#[derive(Clone, Debug)]
pub(super) enum LayerLimits {
    /// With the rules of the layer, and whether it marks.
    Listed(OneOrMore<Uid>, LayerRules, bool),
    #[cfg(feature = "file")]
    OfFile(Traffik),
}

impl<S, B> Service<Request<B>> for LimitService<S>
where
    S: Service<Request<B>, Response: IntoResponse, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = take_ready(&mut self.inner);
        let (limits, rules, marks) = match self.limits.clone() {
            LayerLimits::Listed(limits, rules, marks) => (LimitSet::Listed(limits), rules, marks),
            #[cfg(feature = "file")]
            LayerLimits::OfFile(traffik) => {
                let Some(limits) = of_file(&traffik) else {
                    let mut inner = inner;
                    return Box::pin(async move { inner.call(request).await.map(IntoResponse::into_response) });
                };
                (limits, LayerRules::default(), false)
            }
        };
        checked(inner, limits, rules, marks, request)
    }
}
