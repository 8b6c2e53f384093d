//! Going through the keys that match a pattern, some at a time.

use super::Reply;

/// About as many keys are looked at for a page.
const PAGE: &str = "1000";

pub(super) struct Pages<'a> {
    pattern: &'a str,
    /// Where the next page begins; none after the last.
    cursor: Option<String>,
}

impl<'a> Pages<'a> {
    pub(super) fn of(pattern: &'a str) -> Self {
        Self { pattern, cursor: Some("0".to_owned()) }
    }

    /// What `SCAN` has to be told for the next page.
    pub(super) fn next(&self) -> Option<[&str; 5]> {
        self.cursor.as_deref().map(|cursor| [cursor, "MATCH", self.pattern, "COUNT", PAGE])
    }

    /// The keys of a page.
    pub(super) fn read(&mut self, page: Reply) -> Vec<String> {
        let mut items = page.into_items().unwrap_or_default().into_iter();
        self.cursor = items.next().and_then(|cursor| cursor.text()).filter(|cursor| cursor != "0");
        items.next().and_then(Reply::into_items).unwrap_or_default().iter().filter_map(Reply::text).collect()
    }
}
