//! Conditions under which a charge is refunded when the response is known.
//!
//! [`Settings::refund_if`](crate::Settings::refund_if) takes one of these functions, or a function of yours.

use std::{fmt, sync::Arc};

use axum::http::{StatusCode, response::Parts};

/// Returns `true` for a response with a status from 200 to 299.
///
/// With this condition only failures count, for instance wrong passwords.
#[must_use]
pub fn success(response: &Parts) -> bool {
    response.status.is_success()
}

/// Returns `true` for a response with a status from 500 to 599.
///
/// With this condition a client does not pay for an error of the server.
#[must_use]
pub fn server_error(response: &Parts) -> bool {
    response.status.is_server_error()
}

/// Returns a condition that is `true` for responses with this status.
///
/// ```
/// use axum::http::StatusCode;
/// use traffik::{Settings, refund_if};
///
/// // A lookup in the cache that changed nothing is free.
/// let settings = Settings::new().refund_if(refund_if::status(StatusCode::NOT_MODIFIED));
/// ```
pub fn status(status: StatusCode) -> impl Fn(&Parts) -> bool + Send + Sync + 'static {
    move |response| response.status == status
}

/// The conditions of a throttle. One of them suffices.
#[derive(Clone, Default)]
pub(crate) struct RefundIf(Option<Arc<Vec<Condition>>>);

type Condition = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;

impl RefundIf {
    pub(crate) fn add(&mut self, condition: impl Fn(&Parts) -> bool + Send + Sync + 'static) {
        Arc::make_mut(self.0.get_or_insert_default()).push(Arc::new(condition));
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        Arc::make_mut(self.0.get_or_insert_default()).extend_from_slice(other.conditions());
    }

    pub(crate) fn is_never(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn is(&self, response: &Parts) -> bool {
        self.conditions().iter().any(|condition| condition(response))
    }

    fn conditions(&self) -> &[Condition] {
        self.0.as_ref().map_or(&[], |conditions| conditions)
    }
}

impl fmt::Debug for RefundIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefundIf({} conditions)", self.conditions().len())
    }
}
