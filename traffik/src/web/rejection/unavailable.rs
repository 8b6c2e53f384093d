use std::time::Duration;

use axum::response::{IntoResponse, Response};
use thiserror::Error;

use crate::{
    app::Traffik,
    backend::BackendError,
    web::{ledger::Ledger, response},
};

/// The backend gave no answer, so nobody knows whether the client is over a limit.
///
/// As a response it is a 503: the client did nothing wrong.
#[derive(Debug, Error)]
#[error("the limits of this request cannot be checked at present")]
pub struct Unavailable {
    #[source]
    source: BackendError,
    uids: Vec<&'static str>,
    traffik: Traffik,
    ledger: Ledger,
}

impl Unavailable {
    pub(in crate::web) fn new(source: BackendError, uids: Vec<&'static str>, traffik: Traffik, ledger: Ledger) -> Self {
        if traffik.web().outages.is_due(traffik.clock().now()) {
            tracing::error!(?uids, error = %source, "requests are refused, since the backend gives no answer");
        }
        Self { source, uids, traffik, ledger }
    }

    /// Why the backend gave none.
    #[must_use]
    pub fn backend_error(&self) -> &BackendError {
        &self.source
    }

    /// The uids of the throttles that were to be checked.
    #[must_use]
    pub fn uids(&self) -> &[&'static str] {
        &self.uids
    }

    /// When to try again: the store may be back by then.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        Duration::from_secs(1)
    }

    pub(in crate::web) fn traffik(&self) -> &Traffik {
        &self.traffik
    }

    pub(in crate::web) fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        response::unavailable(&self)
    }
}
