use std::{sync::Arc, time::Duration};

use thiserror::Error;
use traffik_core::backend::BackendError;

use crate::{limit::Definition, web::RequestContext};

/// The backend gave no answer, so nobody knows whether the client is over a limit.
///
/// As a response it is a 503: the client did nothing wrong.
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
    /// When the store may be back.
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

    /// Once a second, however many requests are refused.
    fn log(&self) {
        if self.0.context.traffik().requests().outages.is_due(self.0.context.traffik().clock().now()) {
            let (uids, error) = (self.uids().collect::<Vec<_>>(), &self.0.source);
            tracing::error!(?uids, %error, "requests are refused, since the backend gives no answer");
        }
    }

    /// Why the backend gave none.
    #[must_use]
    pub fn backend_error(&self) -> &BackendError {
        &self.0.source
    }

    /// The uids of the throttles that were to be checked.
    pub fn uids(&self) -> impl Iterator<Item = &str> {
        self.0.definitions.iter().map(|definition| definition.uid)
    }

    pub(in crate::web) fn definitions(&self) -> &[Arc<Definition>] {
        &self.0.definitions
    }

    /// When to try again: in a second, since the store may be back by then, unless a function of yours
    /// [says otherwise](crate::on_error::Resolution::RefuseFor).
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.0.retry_after
    }

    pub(in crate::web) fn context(&self) -> &RequestContext {
        &self.0.context
    }
}
