//! Durations and moments as texts, in a limits file and in requests of operators.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::Deserialize;

/// A duration, from a text such as `"5s"`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Time(pub(crate) Duration);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        humantime::parse_duration(&text)
            .map(Self)
            .map_err(|_| format!("{text:?} is no time: write one such as \"5s\" or \"500ms\""))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A moment, from a text such as `"2030-01-31T18:00:00Z"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Moment(pub(crate) SystemTime);

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        moment(&text)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no moment: write date, time and offset, such as 2030-01-31T18:00:00Z"))
    }
}

/// The time from 1970 until the year 10 000.
const YEAR_10_000: Duration = Duration::from_secs(253_402_300_800);

fn moment(text: &str) -> Option<SystemTime> {
    let (local, minutes_ahead) = if let Some(local) = text.strip_suffix(['Z', 'z']) {
        (local, 0)
    } else {
        let (local, offset) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
        (local, minutes(offset)?)
    };
    let (date, time) = local.split_at_checked("2030-01-31".len())?;
    let time = time.strip_prefix(['T', 't', ' '])?;
    // Seconds may be left out.
    let seconds = if time.matches(':').count() == 1 { ":00" } else { "" };
    let local = humantime::parse_rfc3339(&format!("{date}T{time}{seconds}Z")).ok()?;
    let ahead = Duration::from_secs(minutes_ahead.unsigned_abs() * 60);
    let moment = if minutes_ahead < 0 { local.checked_add(ahead) } else { local.checked_sub(ahead) };
    // Others cannot be written with a year of four digits.
    moment.filter(|moment| (SystemTime::UNIX_EPOCH..SystemTime::UNIX_EPOCH + YEAR_10_000).contains(moment))
}

/// Returns the minutes of an offset such as `+02:00`.
fn minutes(offset: &str) -> Option<i64> {
    let (sign, time) = match offset.strip_prefix('-') {
        Some(time) => (-1, time),
        None => (1, offset.strip_prefix('+')?),
    };
    let (hours, minutes) = time.split_once(':')?;
    let number = |digits: &str| digits.parse::<u8>().ok().filter(|_| digits.len() == 2 && !digits.starts_with('+'));
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then(|| sign * (i64::from(hours) * 60 + i64::from(minutes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Moment, String> {
        text.to_owned().try_into()
    }

    #[test]
    fn moment_may_have_any_offset() {
        let end = Moment(SystemTime::UNIX_EPOCH + Duration::from_secs(1_896_112_800));
        for text in ["2030-01-31T18:00:00Z", "2030-01-31T20:00:00+02:00", "2030-01-31 12:30-05:30", "2030-01-31t18:00z"]
        {
            assert_eq!(parsed(text), Ok(end), "{text}");
        }
    }

    #[test]
    fn moment_without_date_time_or_offset_is_an_error() {
        for text in [
            "2030-01-31",
            "18:00:00",
            "2030-01-31T18:00:00",
            "2030-01-31T18:00:00+2:00",
            "2030-01-31T18:00:00+24:00",
            "2030-01-31T18:00:00 02:00",
            "2030-13-31T18:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "tomorrow",
            "Z",
            "",
            "ü",
        ] {
            assert!(parsed(text).unwrap_err().contains("date, time and offset"), "{text}");
        }
    }
}
