use std::sync::Arc;

use super::penalty::Penalties;
use crate::{on_error::ErrorPolicy, store::Store};

/// A backend of a limit, and what belongs to it.
#[derive(Debug)]
pub(crate) struct LimitBackend {
    pub(crate) store: Arc<Store>,
    pub(crate) policy: Arc<ErrorPolicy>,
    /// Counts refusals, if the limit has a penalty.
    pub(crate) penalties: Option<Arc<Penalties>>,
}

/// The backends of a limit. As a rule there is one.
#[derive(Debug, Default)]
pub(crate) struct LimitBackends {
    /// `None` if everything is admitted.
    pub(super) first: Option<LimitBackend>,
    /// The additional backends of the app, if requests choose one.
    pub(super) others: Box<[LimitBackend]>,
}

/// The place of a backend among those of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BackendIndex(u16);

impl BackendIndex {
    pub(super) const FIRST: Self = Self(0);
    /// No request has chosen one.
    pub(super) const NONE: Self = Self(u16::MAX);

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl LimitBackends {
    #[inline]
    pub(crate) fn get(&self, BackendIndex(index): BackendIndex) -> Option<&LimitBackend> {
        match index.checked_sub(1) {
            None => self.first.as_ref(),
            Some(index) => self.others.get(usize::from(index)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LimitBackend> {
        self.first.iter().chain(&self.others)
    }

    /// Returns the place of each.
    pub(crate) fn indices(&self) -> impl Iterator<Item = BackendIndex> {
        (0..BackendIndex::NONE.0).map(BackendIndex).take_while(|index| self.get(*index).is_some())
    }

    /// Returns the place of a backend by its name, which is `default` for the app's own.
    pub(super) fn find(&self, name: &str) -> Option<BackendIndex> {
        let index = self.iter().position(|backend| backend.store.label() == name)?;
        u16::try_from(index).ok().map(BackendIndex).filter(|index| !index.is_none())
    }
}
