use super::{Counter, table as metric};

/// The instruments of the messages of WebSockets.
#[derive(Debug, Default)]
pub(crate) struct MessageInstruments {
    admitted: Counter,
    refused: Counter,
    failed: Counter,
}

impl MessageInstruments {
    /// Counts a message: whether it was admitted, or `None` if there is no decision.
    pub(crate) fn checked(&self, admitted: Option<bool>) {
        let (counter, outcome) = match admitted {
            Some(true) => (&self.admitted, "admitted"),
            Some(false) => (&self.refused, "refused"),
            None => (&self.failed, "error"),
        };
        counter.add(&metric::MESSAGES, &[outcome], 1);
    }
}
