use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use traffik::{
    clock::{Clock, Timestamp},
    test::ManualClock,
};

/// A clock that the test moves. It runs code of the test when it is read.
#[derive(Clone, Default)]
pub(super) struct HookedClock {
    pub(super) inner: ManualClock,
    hook: Arc<Mutex<Option<Hook>>>,
}

type Hook = Box<dyn FnOnce() + Send>;

impl HookedClock {
    /// Runs `hook` the next time that the clock is read.
    pub(super) fn then(&self, hook: impl FnOnce() + Send + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
    }
}

impl Clock for HookedClock {
    fn now(&self) -> Timestamp {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(hook) = hook {
            hook();
        }
        self.inner.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration).await;
    }
}

impl fmt::Debug for HookedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookedClock").field("inner", &self.inner).finish_non_exhaustive()
    }
}
