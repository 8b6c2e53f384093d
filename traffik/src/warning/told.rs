use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use super::Warning;

/// What an app was warned of, and of what it does not want to be.
#[derive(Debug, Default)]
pub(crate) struct Told {
    silenced: HashSet<Warning>,
    /// Each with the throttle that it is about, if it is about one.
    told: Mutex<HashSet<(Warning, Option<&'static str>)>>,
}

impl Told {
    pub(crate) fn silence(&mut self, warning: Warning) {
        self.silenced.insert(warning);
    }

    pub(crate) fn is_silenced(&self, warning: Warning) -> bool {
        self.silenced.contains(&warning)
    }

    /// Whether it is to be told now: only once, and not if it is silenced.
    pub(crate) fn is_news(&self, warning: Warning, uid: Option<&'static str>) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_silenced(warning) && told.insert((warning, uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_news_once_for_each_throttle() {
        let told = Told::default();
        let news = |uid| told.is_news(Warning::CostNeverFits, uid);
        assert_eq!(
            [news(None), news(None), news(Some("a")), news(Some("b")), news(Some("a"))],
            [true, false, true, true, false]
        );
    }

    #[test]
    fn what_is_silenced_is_no_news() {
        let mut told = Told::default();
        told.silence(Warning::CostNeverFits);
        assert!(!told.is_news(Warning::CostNeverFits, None) && told.is_news(Warning::LimitedTwice, None));
    }
}
