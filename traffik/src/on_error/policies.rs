use std::sync::Arc;

use super::{
    options::{OnError, Refuse},
    policy::ErrorPolicy,
};
use crate::store::{Store, Stores};

/// The policy of an app for each of its backends. Throttles without a policy of their own use it.
#[derive(Debug, Default)]
pub(crate) struct Policies(Vec<(Arc<Store>, Arc<ErrorPolicy>)>);

impl Policies {
    /// Creates a policy for each backend, with a breaker of its own.
    pub(crate) fn new(on_error: Option<OnError>, stores: &Stores) -> Self {
        let on_error = on_error.unwrap_or_else(|| Refuse.into());
        let policy = |(i, store): (usize, &Arc<Store>)| {
            let on_error = if i == 0 { on_error.clone() } else { on_error.with_own_breaker() };
            (Arc::clone(store), Arc::new(ErrorPolicy::new(on_error, store)))
        };
        Self(stores.iter().enumerate().map(policy).collect())
    }

    pub(crate) fn of(&self, store: &Arc<Store>) -> Option<&Arc<ErrorPolicy>> {
        self.0.iter().find(|(own, _)| Arc::ptr_eq(own, store)).map(|(_, policy)| policy)
    }

    /// Returns the policy of each backend.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<Store>, &Arc<ErrorPolicy>)> {
        self.0.iter().map(|(store, policy)| (store, policy))
    }
}
