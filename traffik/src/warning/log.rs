use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Warning;

/// The warnings that an app logged, and those that it silences.
#[derive(Debug, Default)]
pub(crate) struct WarningLog {
    silenced: HashSet<Warning>,
    /// The warnings by the uid of their throttle, which is empty if they concern none.
    logged: Mutex<HashMap<Box<str>, HashSet<Warning>>>,
}

impl WarningLog {
    pub(crate) fn silence(&mut self, warning: Warning) {
        self.silenced.insert(warning);
    }

    pub(crate) fn is_silenced(&self, warning: Warning) -> bool {
        self.silenced.contains(&warning)
    }

    /// Returns `true` the first time that it is called with a warning and a uid, unless the warning is silenced.
    pub(crate) fn is_first(&self, warning: Warning, uid: Option<&str>) -> bool {
        !self.is_silenced(warning) && self.logged().entry(uid.unwrap_or_default().into()).or_default().insert(warning)
    }

    /// Forgets the warnings of a throttle that the app no longer knows.
    pub(crate) fn forget(&self, uid: &str) {
        self.logged().remove(uid);
    }

    fn logged(&self) -> MutexGuard<'_, HashMap<Box<str>, HashSet<Warning>>> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_is_first_once_for_each_throttle() {
        let log = WarningLog::default();
        let first = |uid| log.is_first(Warning::CostNeverFits, uid);
        assert_eq!(
            [first(None), first(None), first(Some("a")), first(Some("b")), first(Some("a"))],
            [true, false, true, true, false]
        );
    }

    #[test]
    fn forgotten_throttle_is_warned_of_again() {
        let log = WarningLog::default();
        let first = |uid| log.is_first(Warning::CostNeverFits, uid);
        assert!(first(Some("a")) && first(Some("b")) && first(None));
        log.forget("a");
        assert_eq!([first(Some("a")), first(Some("b")), first(None)], [true, false, false]);
    }

    #[test]
    fn silenced_warning_is_never_first() {
        let mut log = WarningLog::default();
        log.silence(Warning::CostNeverFits);
        assert!(!log.is_first(Warning::CostNeverFits, None) && log.is_first(Warning::LimitedTwice, None));
    }
}
