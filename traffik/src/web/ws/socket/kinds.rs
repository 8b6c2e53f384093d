use std::{fmt, sync::Arc};

use axum::extract::ws::Message;

use crate::web::ws::tariff::Tariff;

/// Which limits are charged for which messages.
#[derive(Clone, Debug)]
pub(super) struct Kinds {
    others: Tariff,
    kinds: Vec<Kind>,
}

#[derive(Clone)]
struct Kind {
    is_it: Arc<dyn Fn(&Message) -> bool + Send + Sync>,
    tariff: Tariff,
}

impl Kinds {
    pub(super) fn new(others: Tariff) -> Self {
        Self { others, kinds: Vec::new() }
    }

    pub(super) fn add(&mut self, tariff: Tariff, is_it: impl Fn(&Message) -> bool + Send + Sync + 'static) {
        self.kinds.push(Kind { is_it: Arc::new(is_it), tariff });
    }

    /// Those of the first kind that it is.
    pub(super) fn of(&self, message: &Message) -> &Tariff {
        self.kinds.iter().find(|kind| (kind.is_it)(message)).map_or(&self.others, |kind| &kind.tariff)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kind").field(&self.tariff).finish()
    }
}
