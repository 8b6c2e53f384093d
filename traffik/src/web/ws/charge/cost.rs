use std::{fmt, sync::Arc};

use axum::extract::ws::Message;

/// What a message costs.
#[derive(Clone, Default)]
pub(in crate::web::ws) enum Cost {
    /// What each throttle says.
    #[default]
    OfThrottle,
    Function(Arc<dyn Fn(&Message) -> u64 + Send + Sync>),
}

impl Cost {
    pub(in crate::web::ws) fn function(cost: impl Fn(&Message) -> u64 + Send + Sync + 'static) -> Self {
        Self::Function(Arc::new(cost))
    }

    /// One for each unit that was begun, and for an empty message too.
    pub(in crate::web::ws) fn by_size(unit: usize) -> Self {
        let unit = unit.max(1);
        Self::function(move |message| length(message).div_ceil(unit).max(1).try_into().unwrap_or(u64::MAX))
    }

    pub(in crate::web::ws) fn of(&self, message: &Message) -> Option<u64> {
        match self {
            Self::OfThrottle => None,
            Self::Function(cost) => Some(cost(message)),
        }
    }
}

/// How many bytes a message holds.
fn length(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

impl fmt::Debug for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OfThrottle => "OfThrottle",
            Self::Function(_) => "Function(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_to_whole_units() {
        let cost = |size: usize, unit| Cost::by_size(unit).of(&Message::Binary(vec![0; size].into()));
        assert_eq!([0, 1, 1024, 1025, 2048].map(|size| cost(size, 1024)), [1, 1, 1, 2, 2].map(Some));
        assert_eq!(cost(7, 0), Some(7));
        assert_eq!(Cost::by_size(2).of(&Message::Text("süß".into())), Some(3), "sizes are in bytes");
    }
}
