use std::sync::Arc;

use super::{OnError, Plan};
use crate::store::{Store, Stores};

/// What an app does about each of its backends, for the throttles that say nothing of their own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plans(Vec<(Arc<Store>, Arc<Plan>)>);

impl Plans {
    /// The same for each: but one that fails must not keep anybody from another.
    pub(crate) fn new(on_error: Option<&OnError>, stores: &Stores) -> Self {
        let Some(on_error) = on_error else { return Self::default() };
        let plan = |(i, store): (usize, &Arc<Store>)| {
            let on_error = if i == 0 { on_error.clone() } else { on_error.with_own_breaker() };
            (Arc::clone(store), Arc::new(Plan::new(on_error, store)))
        };
        Self(stores.iter().enumerate().map(plan).collect())
    }

    pub(crate) fn of(&self, store: &Arc<Store>) -> Option<&Arc<Plan>> {
        self.0.iter().find(|(own, _)| Arc::ptr_eq(own, store)).map(|(_, plan)| plan)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.0.iter().map(|(_, plan)| plan)
    }
}
