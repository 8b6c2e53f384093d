use toml::value::Datetime;

use crate::limit::{changes::Until, time_texts::Moment};

/// Returns the end of a change, or what is wrong with it.
pub(super) fn until(end: &Datetime) -> Result<Until, String> {
    Moment::try_from(end.to_string()).map(|moment| Until::At(moment.0))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn end_is_a_moment() {
        let end = "2030-01-31 20:00+02:00".parse().unwrap();
        assert_eq!(until(&end), Ok(Until::At(SystemTime::UNIX_EPOCH + Duration::from_secs(1_896_112_800))));
        assert!(until(&"18:00:00".parse().unwrap()).unwrap_err().contains("date, time and offset"));
    }
}
