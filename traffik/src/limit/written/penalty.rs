use std::fmt;

use serde::Deserialize;

use super::numbers::Whole;
use crate::limit::{penalty::PenaltySettings, time_texts::Time};

/// The penalty of a limit. With `longest` it is twice as long each time.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table with `refusals`, `time` and perhaps `longest`")]
pub(crate) struct PenaltyTable {
    refusals: Whole,
    time: Time,
    longest: Option<Time>,
}

impl PenaltyTable {
    pub(in crate::limit) fn settings(&self) -> PenaltySettings {
        PenaltySettings {
            after: u32::try_from(self.refusals.0).unwrap_or(u32::MAX),
            time: self.time.0,
            up_to: self.longest.map(|longest| longest.0),
        }
    }
}

impl fmt::Display for PenaltyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refusals: Whole(refusals), time, longest } = self;
        write!(f, "{time} after {refusals} refusals")?;
        longest.map_or(Ok(()), |longest| write!(f, " up to {longest}"))
    }
}
