use std::{error::Error, sync::Arc};

use thiserror::Error;

use crate::web::RequestContext;

/// The backend gave no answer, and [`on_error`](crate::on_error) says to raise that.
///
/// As a response it is a 500 that tells the client nothing of it. It is in the extensions of that response, for a middleware
/// that reports errors:
///
/// ```
/// use axum::{extract::Request, middleware::Next, response::Response};
/// use traffik::web::Raised;
///
/// async fn report(request: Request, next: Next) -> Response {
///     let response = next.run(request).await;
///     if let Some(raised) = response.extensions().get::<Raised>() {
///         eprintln!("{raised}");
///     }
///     response
/// }
/// # let _ = axum::Router::<()>::new().layer(axum::middleware::from_fn(report));
/// ```
#[derive(Clone, Debug, Error)]
#[error("the limits of the request cannot be checked: {}", .0.source)]
pub struct Raised(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Box<dyn Error + Send + Sync>,
    context: RequestContext,
}

impl Raised {
    pub(in crate::web) fn new(source: Box<dyn Error + Send + Sync>, context: RequestContext) -> Self {
        Self(Arc::new(Inner { source, context }))
    }

    /// The error of the backend, or the one that a function of yours returned.
    #[must_use]
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.source
    }

    pub(in crate::web) fn context(&self) -> &RequestContext {
        &self.0.context
    }
}
