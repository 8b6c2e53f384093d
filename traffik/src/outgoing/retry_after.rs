use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use traffik_core::clock::Timestamp;

/// Returns how long a response asks to wait, if it does.
pub(super) fn retry_after(status: StatusCode, headers: &HeaderMap, wall_clock: Timestamp) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are a very long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(wall_clock.saturating_since(Timestamp::UNIX_EPOCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_micros(784_111_777_000_000);
        let wait = |value: &str, status: u16| {
            let headers = [(RETRY_AFTER, value.parse().unwrap())].into_iter().collect();
            retry_after(StatusCode::from_u16(status).unwrap(), &headers, now)
        };
        assert_eq!(wait("120", 429), Some(Duration::from_secs(120)));
        assert_eq!(wait("0", 503), Some(Duration::ZERO));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:39 GMT", 503), Some(Duration::from_secs(2)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:36 GMT", 429), Some(Duration::ZERO));
        assert_eq!(wait("Sunday, 06-Nov-94 08:50:37 GMT", 429), Some(Duration::from_secs(60)));
        assert_eq!(wait("99999999999999999999999", 429), Some(Duration::from_secs(u64::MAX)));
        for nothing in ["", "-1", "1.5", "soon", "Mon, 06 Nov 1994 25:49:39 GMT"] {
            assert_eq!(wait(nothing, 429), None, "{nothing}");
        }
        assert_eq!(wait("120", 200), None);
        assert_eq!(wait("120", 301), None);
        assert_eq!(retry_after(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), now), None);
    }
}
