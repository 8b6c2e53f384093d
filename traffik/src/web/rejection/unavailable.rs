use std::{sync::Arc, time::Duration};

use thiserror::Error;
use traffik_core::backend::BackendError;

use crate::{limit::Definition, web::RequestContext};

/// The backend gave no answer, so it is not known whether the client is over a limit.
///
/// As a response it is a 503, because the client did nothing wrong.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Unavailable(Box<Inner>);

#[derive(Debug, Error)]
#[error("the limits of this request cannot be checked at present")]
struct Inner {
    #[source]
    source: Arc<BackendError>,
    retry_after: Duration,
    definitions: Vec<Arc<Definition>>,
    context: RequestContext,
}

impl Unavailable {
    /// The default of `Retry-After`.
    pub(in crate::web) const RETRY_AFTER: Duration = Duration::from_secs(1);

    pub(in crate::web) fn new(
        source: Arc<BackendError>,
        retry_after: Duration,
        definitions: Vec<Arc<Definition>>,
        context: RequestContext,
    ) -> Self {
        let rejection = Self(Box::new(Inner { source, retry_after, definitions, context }));
        rejection.log();
        rejection
    }

    /// Logs at most once a second.
    fn log(&self) {
        if self.0.context.traffik().requests().outages.is_due(self.0.context.traffik().clock().now()) {
            let (uids, error) = (self.uids().collect::<Vec<_>>(), &self.0.source);
            tracing::error!(?uids, %error, "requests are refused, because the backend gives no answer");
        }
    }

    /// Returns the error of the backend.
    #[must_use]
    pub fn backend_error(&self) -> &BackendError {
        &self.0.source
    }

    /// Returns the uids of the throttles that could not be checked.
    pub fn uids(&self) -> impl Iterator<Item = &str> {
        self.0.definitions.iter().map(|definition| definition.uid)
    }

    pub(in crate::web) fn definitions(&self) -> &[Arc<Definition>] {
        &self.0.definitions
    }

    /// Returns when to try again. Defaults to one second; a function in
    /// [`on_error`](crate::on_error::Resolution::RefuseFor) can set another time.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.0.retry_after
    }

    pub(in crate::web) fn context(&self) -> &RequestContext {
        &self.0.context
    }
}
