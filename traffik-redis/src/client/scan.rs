use super::{CallError, Reply, Sent, command::Command, connection::Connection};

/// The approximate number of keys that the server examines per page.
const PAGE: &str = "1000";

/// Iterates over the keys of one server that match a pattern, page by page.
pub(super) struct Scan<'a> {
    connection: &'a Connection,
    pattern: &'a str,
    /// The start of the next page. `None` after the last page.
    cursor: Option<String>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(connection: &'a Connection, pattern: &'a str) -> Self {
        Self { connection, pattern, cursor: Some("0".to_owned()) }
    }

    pub(super) async fn next_page(&mut self) -> Result<Option<Vec<String>>, CallError> {
        let Some(cursor) = self.cursor.take() else { return Ok(None) };
        let command = Command::new("SCAN", 0).args([&cursor, "MATCH", self.pattern, "COUNT", PAGE]);
        let page = self.connection.call(command, &Sent::default()).await?;
        let mut items = page.into_items().unwrap_or_default().into_iter();
        self.cursor = items.next().and_then(|cursor| cursor.text()).filter(|cursor| cursor != "0");
        let keys = items.next().and_then(Reply::into_items).unwrap_or_default();
        Ok(Some(keys.iter().filter_map(Reply::text).collect()))
    }
}
