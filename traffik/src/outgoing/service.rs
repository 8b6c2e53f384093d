use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Request, Response, request::Parts};
use tower_service::Service;
use traffik_core::client::Client;

use super::{error::OutgoingError, options::Options, retry_after::retry_after};
use crate::{
    engine::{CheckError, Demand, HeldBack, Permit, Refusal, resolve},
    limit::Throttles,
};

/// The service of an [`OutgoingLayer`](super::OutgoingLayer).
pub struct Outgoing<S, T> {
    pub(super) inner: S,
    pub(super) options: Arc<Options>,
    pub(super) throttles: PhantomData<fn() -> T>,
}

impl<S, T, B, R> Service<Request<B>> for Outgoing<S, T>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    T: Throttles,
    B: Send + 'static,
{
    type Response = Response<R>;
    type Error = OutgoingError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, OutgoingError>> + Send>>;

    /// Is always ready: the client is asked when the turn of the call has come, so that no call that waits holds a slot of it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OutgoingError>> {
        Poll::Ready(Ok(()))
    }

    /// Waits for the turn of the call, and then makes it.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut inner, options) = (self.inner.clone(), Arc::clone(&self.options));
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let key = options.key.of(&parts).ok_or(OutgoingError::NoHost)?;
            let permit = turn::<T>(&options, key.clone(), &parts).await?;
            let client = |error: S::Error| OutgoingError::Inner(error.into());
            poll_fn(|cx| inner.poll_ready(cx)).await.map_err(client)?;
            let mut response = inner.call(Request::from_parts(parts, body)).await.map_err(client)?;
            let wall_clock = options.traffik.clock().wall_clock();
            if let Some(time) = retry_after(response.status(), response.headers(), wall_clock) {
                hold_back::<T>(&options, key, time);
            }
            response.extensions_mut().insert(permit);
            Ok(response)
        })
    }
}

async fn turn<T: Throttles>(options: &Options, key: Client, parts: &Parts) -> Result<Permit<T>, OutgoingError> {
    let Options { traffik, wait, .. } = options;
    let failed = |error| OutgoingError::NotAdmitted(CheckError::Failed(error));
    let checks = traffik.checks::<T>(key).map_err(|error| failed(error.into()))?;
    let demand = Demand::new(&checks, traffik.changes());
    let decision = resolve!(traffik.wait_outgoing(demand, *wait));
    let decision = decision
        .map_err(|HeldBack { until, now }| OutgoingError::HeldBack { retry_after: until.saturating_since(now) })?;
    let limits = decision.map_err(|error| failed(error.observed(Some(parts))))?;
    limits.observe(Some(parts));
    if !limits.is_admitted() {
        return Err(OutgoingError::NotAdmitted(Refusal::new(limits).into()));
    }
    let delay = limits.delay();
    if delay > Duration::ZERO {
        traffik.clock().sleep(delay).await;
    }
    Ok(Permit::new(limits))
}

fn hold_back<T: Throttles>(options: &Options, key: Client, time: Duration) {
    let Options { traffik, max_hold_back, .. } = options;
    // The call was checked with the same.
    if let Ok(checks) = traffik.checks::<T>(key) {
        if checks.are_in_dry_run() {
            return;
        }
        traffik.hold_back(&Demand::new(&checks, traffik.changes()), time.min(*max_hold_back));
    }
}

impl<S: Clone, T> Clone for Outgoing<S, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), options: Arc::clone(&self.options), throttles: PhantomData }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Outgoing<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("inner", &self.inner).field("options", &self.options).finish()
    }
}
