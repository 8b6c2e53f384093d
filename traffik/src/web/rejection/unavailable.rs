use std::{sync::Arc, time::Duration};

use axum::http::Request;
use thiserror::Error;
use traffik_core::backend::BackendError;

use crate::{
    limit::Definition,
    web::{
        RequestContext,
        request_head::{RequestHead, ResponseFormat},
    },
};

/// The backend gave no answer, so it is not known whether the client is over a limit.
///
/// As a response it is a 503, because the client did nothing wrong.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Unavailable(pub(in crate::web) Box<Inner>);

#[derive(Debug, Error)]
#[error("the limits of this request cannot be checked at present")]
pub(in crate::web) struct Inner {
    #[source]
    source: Arc<BackendError>,
    retry_after: Duration,
    pub(in crate::web) definitions: Vec<Arc<Definition>>,
    pub(in crate::web) context: RequestContext,
    pub(in crate::web) head: RequestHead,
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
        let head = RequestHead::default();
        let rejection = Self(Box::new(Inner { source, retry_after, definitions, context, head }));
        rejection.log();
        rejection
    }

    /// Logs at most once a second, unless the outage is in the log.
    fn log(&self) {
        let mut backends = self.0.definitions.iter().flat_map(|definition| definition.backends.iter());
        if backends.any(|backend| backend.store.is_out()) {
            return;
        }
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

    /// Returns the uids of the throttles that could not be checked, including [hidden](crate::Settings::hidden) ones.
    pub fn uids(&self) -> impl Iterator<Item = &str> {
        self.0.definitions.iter().map(|definition| &*definition.uid)
    }

    /// Returns when to try again. Defaults to one second; a function in
    /// [`on_error`](crate::on_error::Resolution::RefuseFor) can set another time.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.0.retry_after
    }

    /// Returns the method, the URI and the headers of the request, without its extensions.
    ///
    /// Returns `None` if neither the app nor a throttle of the decision has a responder: the request is copied only for one.
    #[must_use]
    pub fn request(&self) -> Option<&Request<()>> {
        self.0.head.request()
    }

    /// Returns the format of the default response.
    #[must_use]
    pub fn format(&self) -> ResponseFormat {
        self.0.head.format
    }
}
