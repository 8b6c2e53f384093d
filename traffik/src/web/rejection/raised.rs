use std::{error::Error, sync::Arc};

use thiserror::Error;

use crate::web::{RequestContext, request_head::RequestHead};

/// The backend gave no answer, and [`on_error`](crate::on_error) raises an error then.
///
/// As a response it is a 500 without details. The error is in the extensions of the response, for a middleware that
/// reports errors:
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
    head: RequestHead,
}

impl Raised {
    pub(in crate::web) fn new(source: Box<dyn Error + Send + Sync>, context: RequestContext) -> Self {
        Self(Arc::new(Inner { source, context, head: RequestHead::default() }))
    }

    /// Returns the error of the backend, or of your function.
    #[must_use]
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.source
    }

    pub(in crate::web) fn context(&self) -> &RequestContext {
        &self.0.context
    }

    pub(in crate::web) fn head(&self) -> &RequestHead {
        &self.0.head
    }

    /// Returns `None` if it was cloned.
    pub(super) fn head_mut(&mut self) -> Option<&mut RequestHead> {
        Arc::get_mut(&mut self.0).map(|inner| &mut inner.head)
    }
}
