use toml::value::{Datetime, Offset, Time};

use crate::limit::changes::Until;

/// Returns the end of a change, or what is wrong with it.
pub(super) fn until(end: &Datetime) -> Result<Until, String> {
    let wrong = || format!("`{end}` is no moment: write date, time and offset, such as 2030-01-31T18:00:00Z");
    let minutes = match end.offset.ok_or_else(wrong)? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    // Seconds may be left out.
    let time = end.time.map(|time| Time { second: time.second.or(Some(0)), ..time });
    let utc = Datetime { offset: Some(Offset::Z), time, ..*end };
    let local = humantime::parse_rfc3339(&utc.to_string()).map_err(|_| wrong())?;
    let ahead = std::time::Duration::from_secs(minutes.unsigned_abs() * 60);
    let moment = if minutes < 0 { local.checked_add(ahead) } else { local.checked_sub(ahead) };
    moment.map(Until::At).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn parsed(text: &str) -> Result<Until, String> {
        until(&text.parse().map_err(|error: toml::value::DatetimeParseError| error.to_string())?)
    }

    #[test]
    fn end_is_a_moment_in_any_offset() {
        let end = Until::At(SystemTime::UNIX_EPOCH + Duration::from_secs(1_896_112_800));
        for text in ["2030-01-31T18:00:00Z", "2030-01-31T20:00:00+02:00", "2030-01-31 12:30-05:30"] {
            assert_eq!(parsed(text), Ok(end), "{text}");
        }
    }

    #[test]
    fn end_without_date_time_or_offset_is_an_error() {
        for text in ["2030-01-31", "18:00:00", "2030-01-31T18:00:00"] {
            assert!(parsed(text).unwrap_err().contains("date, time and offset"), "{text}");
        }
    }
}
