//! Places that are held for as long as somebody is there.
//!
//! Whoever was admitted has a [`Lease`], and gives the place back by dropping it. All leases of a store are in one [`Leases`],
//! and while there are any one task, the keeper, renews them and gives back what could not be given back at once.

mod call;
mod keeper;
mod lease;
mod register;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{runtime::Handle, sync::Notify};

pub(crate) use self::lease::Lease;
use self::{
    keeper::Keeper,
    register::{Leaving, Register},
};
use super::Store;
use crate::observe::LogThrottle;

/// The places that are held in one store.
#[derive(Debug, Default)]
pub(super) struct Leases {
    register: Mutex<Register>,
    /// Something has to be done sooner than the keeper knows.
    sooner: Arc<Notify>,
    /// When it was last said that renewals fail, and that a place was not given back.
    not_renewed: LogThrottle,
    not_given_back: LogThrottle,
}

impl Leases {
    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a keeper on `runtime`, or on one that is known, unless there is a keeper. It then hears of what is new.
    fn keep(store: &Arc<Store>, runtime: Option<&Handle>) {
        let hiring = {
            let mut register = store.leases.register();
            let runtime = runtime.cloned().or_else(|| register.another_runtime(None));
            runtime.filter(|_| register.hire())
        };
        match hiring {
            Some(runtime) => drop(runtime.spawn(Keeper::new(store, runtime.clone()).keep())),
            None => store.leases.sooner.notify_one(),
        }
    }

    /// Has something given back by the keeper. Without any runtime there is none, and its lease ends by itself.
    fn give_back_later(store: &Arc<Store>, leaving: Leaving, runtime: Option<&Handle>) {
        store.leases.register().leave_later(leaving);
        Self::keep(store, runtime);
    }
}
