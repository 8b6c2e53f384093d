use std::sync::{Arc, atomic::Ordering};

use traffik_core::backend::BackendError;

use super::handle::Store;

/// All backends of an app.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    /// `None` if the app admits everything.
    own: Option<Arc<Store>>,
    named: Vec<Arc<Store>>,
}

impl Stores {
    pub(crate) fn new(own: Store, named: impl IntoIterator<Item = Store>) -> Self {
        Self { own: Some(Arc::new(own)), named: named.into_iter().map(Arc::new).collect() }
    }

    /// Returns the store of throttles that select none by name.
    pub(crate) fn own(&self) -> Option<&Arc<Store>> {
        self.own.as_ref()
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Store>> {
        self.named.iter().find(|store| store.name == Some(name))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.named.iter().filter_map(|store| store.name)
    }

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        let mut all = Ok(());
        for store in self.iter() {
            all = all.and(store.clear().await);
        }
        all
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        let mut all = Ok(());
        for store in self.iter() {
            all = all.and(store.close().await);
        }
        all
    }

    /// Returns the number of charges that may not have been settled.
    pub(crate) fn lost_settlements(&self) -> u64 {
        self.iter().map(|store| store.upkeep.lost_settlements.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Store>> {
        self.own.iter().chain(&self.named)
    }
}
