use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use super::Warning;

/// The warnings that an app logged, and those that it silences.
#[derive(Debug, Default)]
pub(crate) struct WarningLog {
    silenced: HashSet<Warning>,
    /// Each warning, with the uid of its throttle if it concerns one.
    logged: Mutex<HashSet<(Warning, Option<&'static str>)>>,
}

impl WarningLog {
    pub(crate) fn silence(&mut self, warning: Warning) {
        self.silenced.insert(warning);
    }

    pub(crate) fn is_silenced(&self, warning: Warning) -> bool {
        self.silenced.contains(&warning)
    }

    /// Returns `true` the first time that it is called with a warning and a uid, unless the warning is silenced.
    pub(crate) fn is_first(&self, warning: Warning, uid: Option<&'static str>) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_silenced(warning) && logged.insert((warning, uid))
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
    fn silenced_warning_is_never_first() {
        let mut log = WarningLog::default();
        log.silence(Warning::CostNeverFits);
        assert!(!log.is_first(Warning::CostNeverFits, None) && log.is_first(Warning::LimitedTwice, None));
    }
}
