//! The grammar of rates: valid rates, invalid rates, and their errors.

use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;
use traffik::{
    Rate, RateError,
    rate::RateErrorKind::{self, *},
};

/// Every spelling of every unit, with its microseconds.
const UNITS: &[(u64, &[&str])] = &[
    (604_800_000_000, &["w", "wk", "wks", "week", "weeks"]),
    (86_400_000_000, &["d", "day", "days"]),
    (3_600_000_000, &["h", "hr", "hrs", "hour", "hours"]),
    (60_000_000, &["m", "min", "mins", "minute", "minutes"]),
    (1_000_000, &["s", "sec", "secs", "second", "seconds"]),
    (1000, &["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"]),
    (1, &["us", "usec", "usecs", "micros", "microsecond", "microseconds"]),
];

fn rate(limit: u64, micros: u64) -> Result<Rate, RateError> {
    Rate::new(limit, Duration::from_micros(micros))
}

#[test]
fn rate_of_every_form_is_parsed() {
    let (second, minute, hour) = (1_000_000, 60_000_000, 3_600_000_000);
    for (text, limit, micros) in [
        ("100/minute", 100, minute),
        ("5/10seconds", 5, 10 * second),
        ("1000/500ms", 1000, second / 2),
        ("20 per 2 mins", 20, 2 * minute),
        ("2 per second", 2, second),
        ("2per 1second", 2, second),
        ("100/5m30s", 100, 330 * second),
        ("100/30s5m", 100, 330 * second),
        ("100 per 1h 30m", 100, 90 * minute),
        ("1/1w2d3h4m5s6ms7us", 1, 788_645_006_007),
        ("1/7us6ms5s4m3h2d1w", 1, 788_645_006_007),
        ("1/90m", 1, hour + 30 * minute),
        ("1/0h5m", 1, 5 * minute),
        ("007/010s", 7, 10 * second),
        ("10_000/1_000ms", 10_000, second),
        ("100000000000000/50d", 100_000_000_000_000, 50 * 24 * hour),
        ("1/us", 1, 1),
    ] {
        assert_eq!(text.parse(), rate(limit, micros), "{text}");
    }
    for text in ["0/0", "0 per 0", " 0 / 0 "] {
        assert_eq!(text.parse(), Ok(Rate::UNLIMITED), "{text}");
    }
}

#[test]
fn unit_in_any_spelling_case_and_spacing_is_parsed() {
    for &(micros, spellings) in UNITS {
        for spelling in spellings {
            let mixed = |odd: usize| {
                let case = |(i, c): (usize, char)| if i % 2 == odd { c.to_ascii_uppercase() } else { c };
                spelling.chars().enumerate().map(case).collect::<String>()
            };
            for unit in [(*spelling).to_owned(), spelling.to_uppercase(), mixed(0), mixed(1)] {
                for text in [
                    format!("7/{unit}"),
                    format!("7 per {unit}"),
                    format!("7PER1{unit}"),
                    format!("7/1{unit}"),
                    format!(" \t7\t/ \t1 \t{unit}\t "),
                    format!("\n7\r\nPer\n1\n{unit}\n"),
                ] {
                    assert_eq!(text.parse(), rate(7, micros), "{text:?}");
                }
            }
        }
    }
}

/// Invalid rates: the reason, and the byte of the error.
const REFUSED: &[(&str, RateErrorKind, usize)] = &[
    ("", Empty, 0),
    (" \t\n", Empty, 0),
    ("/min", MissingLimit, 0),
    ("per minute", MissingLimit, 0),
    ("minute", MissingLimit, 0),
    ("\"100/min\"", Unexpected, 0),
    ("unlimited", MissingLimit, 0),
    ("-5/min", Signed, 0),
    ("+5/min", Signed, 0),
    ("5/-1min", Signed, 2),
    ("5/+1min", Signed, 2),
    ("5/1h+30m", Signed, 4),
    ("1.5/s", Decimal, 0),
    (".5/s", Decimal, 0),
    ("5/1.5h", Decimal, 2),
    ("5/.5h", Decimal, 2),
    ("5/1h1.5m", Decimal, 4),
    ("1,000/min", Grouping, 0),
    ("1_/min", Grouping, 0),
    ("1__0/min", Grouping, 0),
    ("５/min", NotAscii, 0),
    ("٣/min", NotAscii, 0),
    ("5/３s", NotAscii, 2),
    ("5/10µs", NotAscii, 4),
    ("−5/min", NotAscii, 0),
    ("5\u{a0}/min", NotAscii, 1),
    ("5/min\u{2028}", NotAscii, 5),
    ("5 minute", MissingSeparator, 2),
    ("5min", MissingSeparator, 1),
    ("5 perminute", MissingSeparator, 2),
    ("5 requests/min", MissingSeparator, 2),
    ("10r/s", MissingSeparator, 2),
    ("10k/s", MissingSeparator, 2),
    ("1e6/s", MissingSeparator, 1),
    ("1 000/s", MissingSeparator, 2),
    ("5//s", SeveralSeparators, 2),
    ("5/per s", SeveralSeparators, 2),
    ("5 per per s", SeveralSeparators, 6),
    ("5 per / s", SeveralSeparators, 6),
    ("5/s/user", SeveralSeparators, 3),
    ("5/s per user", SeveralSeparators, 4),
    ("5/1m/1s", SeveralSeparators, 4),
    ("5", MissingPeriod, 1),
    ("5/", MissingPeriod, 2),
    ("5 per ", MissingPeriod, 5),
    ("5/10", MissingUnit, 2),
    ("5/1m30", MissingUnit, 4),
    ("5/10 20s", MissingUnit, 2),
    ("5/0 0s", MissingUnit, 2),
    ("5/1h m", MissingNumber, 5),
    ("5/h m", MissingNumber, 4),
    ("5/m30s", MissingNumber, 2),
    ("5/fortnight", UnknownUnit, 2),
    ("5/100ns", UnknownUnit, 5),
    ("5/minutess", UnknownUnit, 2),
    ("5/1hm", UnknownUnit, 3),
    ("5/month", UnfixedUnit, 2),
    ("5/2 Months", UnfixedUnit, 4),
    ("5/year", UnfixedUnit, 2),
    ("5/1y", UnfixedUnit, 3),
    ("5/1m1m", UnitTwice, 5),
    ("5/1m 2s 3min", UnitTwice, 9),
    ("5/min!", Unexpected, 5),
    ("5/min.", Unexpected, 5),
    ("5/1h, 30m", Unexpected, 4),
    ("5:s", Unexpected, 1),
    ("5-s", Unexpected, 1),
    ("5/\0", Unexpected, 2),
    ("0/min", ZeroLimit, 0),
    (" 0/1h30m", ZeroLimit, 1),
    ("5/0", ZeroPeriod, 2),
    ("5/0s", ZeroPeriod, 2),
    ("5/ 0h0m", ZeroPeriod, 3),
    ("100000000000001/s", LimitTooHigh, 0),
    ("18446744073709551615/s", LimitTooHigh, 0),
    ("18446744073709551616/s", LimitTooHigh, 0),
    ("99999999999999999999999999/s", LimitTooHigh, 0),
    ("5/51d", PeriodTooLong, 2),
    ("5/50d1us", PeriodTooLong, 2),
    ("5/18446744073709551615us", PeriodTooLong, 2),
    ("5/18446744073709551616us", PeriodTooLong, 2),
    ("5/30500568904944w", PeriodTooLong, 2),
    ("5/18446744073709551615us18446744073709551615ms", PeriodTooLong, 2),
];

#[test]
fn invalid_rate_is_an_error_with_its_reason_and_position() {
    for &(text, kind, position) in REFUSED {
        let error = Rate::parse(text).expect_err(text);
        assert_eq!((error.kind(), error.position()), (kind, Some(position)), "{text:?}: {error}");
        assert!(error.to_string().contains(&format!("at byte {position})")), "{error}");
    }
}

#[test]
fn error_of_each_kind_states_the_allowed_values() {
    let too_fine = Rate::new(1, Duration::from_nanos(1500)).unwrap_err();
    let kinds: HashMap<_, _> = REFUSED.iter().map(|(text, kind, _)| (*kind, Rate::parse(text).unwrap_err())).collect();
    assert_eq!(kinds.len(), 19, "each kind but `PeriodTooFine`, which no text produces");
    for error in kinds.into_values().chain([too_fine]) {
        let (kind, message) = (error.kind(), error.to_string());
        let words = ["such as \"", "the highest is ", "the longest is ", "the lowest is ", "the shortest is "];
        let says_it = |text: &str| words.iter().any(|word| text.contains(word)) || text.contains("the units are");
        assert!(says_it(&message) || kind == PeriodTooFine && message.contains("round it"), "{message}");
        assert!(kind.message().len() > 30 && message.starts_with(kind.message().split(':').next().unwrap()));
    }
}

#[test]
fn rate_from_numbers_is_checked_against_the_bounds() {
    let kind = |limit, period| Rate::new(limit, period).unwrap_err().kind();
    let second = Duration::from_secs(1);
    assert_eq!(kind(0, second), ZeroLimit);
    assert_eq!(kind(1, Duration::ZERO), ZeroPeriod);
    assert_eq!(kind(Rate::MAX_LIMIT + 1, second), LimitTooHigh);
    assert_eq!(kind(1, Rate::MAX_PERIOD + Duration::from_micros(1)), PeriodTooLong);
    assert_eq!(kind(1, Duration::MAX), PeriodTooLong);
    assert_eq!(kind(1, Duration::from_nanos(999)), PeriodTooFine);
    assert_eq!(Rate::new(1, second).map(Rate::period), Ok(second));
    assert_eq!(Rate::new(0, Duration::ZERO), Ok(Rate::UNLIMITED));
}

#[test]
fn literal_rate_is_parsed_at_compile_time() {
    const RATE: Rate = Rate::literal("100 per 1h 30m");
    const PARSED: Result<Rate, RateError> = Rate::parse("100/fortnight");
    const LIMIT: u64 = RATE.limit();
    assert_eq!((LIMIT, RATE.period_micros(), RATE.period()), (100, 5_400_000_000, Duration::from_secs(5400)));
    assert_eq!(PARSED.map_err(|error| error.kind()), Err(UnknownUnit));
}

#[test]
fn rate_is_displayed_in_its_short_form() {
    for (text, shown) in [
        ("100/1 minutes", "100/min"),
        ("5 per 10 seconds", "5/10s"),
        ("100/330s", "100/5m30s"),
        ("1/7d", "1/week"),
        ("1/10d", "1/10d"),
        ("1/24h", "1/day"),
        ("1/60min", "1/hour"),
        ("1/1001us", "1/1ms1us"),
        ("0 per 0", "0/0"),
    ] {
        assert_eq!(Rate::parse(text).unwrap().to_string(), shown);
        assert_eq!(format!("{:?}", Rate::parse(text).unwrap()), format!("Rate({shown:?})"));
    }
}

#[test]
fn rate_is_a_string_in_json() {
    let rate: Rate = serde_json::from_str("\"100 per 5m 30s\"").unwrap();
    assert_eq!(serde_json::to_string(&rate).unwrap(), "\"100/5m30s\"");
    // The escape prevents borrowing from the text.
    assert_eq!(serde_json::from_str::<Rate>("\"100\\/5m\\u00330s\"").unwrap(), rate);

    let as_key = HashMap::from([(rate.to_string(), rate)]);
    assert_eq!(
        serde_json::from_str::<HashMap<String, Rate>>(&serde_json::to_string(&as_key).unwrap()).unwrap(),
        as_key
    );

    for &(text, kind, position) in REFUSED {
        let error = serde_json::from_value::<Rate>(text.into()).unwrap_err().to_string();
        let expected = Rate::parse(text).unwrap_err();
        assert_eq!((expected.kind(), expected.position()), (kind, Some(position)));
        assert!(error.contains(&expected.to_string()), "{error}");
    }
    for json in ["100", "null", "[]", "{}", "true", "1.5"] {
        let error = serde_json::from_str::<Rate>(json).unwrap_err().to_string();
        assert!(error.contains("a rate such as \"100/min\""), "{error}");
    }
}

/// Any valid rate. Small numbers are as likely as large ones.
fn any_rate() -> impl Strategy<Value = Rate> {
    let size = |most: u64| (1..=most, 0..most.ilog2()).prop_map(|(number, bits)| (number >> bits).max(1));
    let max_period = u64::try_from(Rate::MAX_PERIOD.as_micros()).unwrap_or_default();
    let limited = (size(Rate::MAX_LIMIT), size(max_period))
        .prop_filter_map("in bounds", |(limit, micros)| Rate::new(limit, Duration::from_micros(micros)).ok());
    prop_oneof![30 => limited, 1 => Just(Rate::UNLIMITED)]
}

/// Pieces of valid and invalid rates, in any order.
fn almost_a_rate() -> impl Strategy<Value = String> {
    let pieces = "[0-9]{1,20}|/|per|[a-z]{1,4}|[ \t_.,+-]|min|[5٣µ½−]|us|ms|h";
    prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn displayed_rate_parses_to_the_same_rate(rate in any_rate()) {
        let text = rate.to_string();
        prop_assert_eq!(Rate::parse(&text), Ok(rate));
        prop_assert_eq!(text.parse::<Rate>(), Ok(rate));
        prop_assert_eq!(Rate::try_from(text.as_str()), Ok(rate));
        prop_assert_eq!(Rate::parse(&text.to_uppercase()), Ok(rate));
        prop_assert_eq!(serde_json::from_str::<Rate>(&serde_json::to_string(&rate).unwrap()).unwrap(), rate);
        prop_assert_eq!(Rate::new(rate.limit(), rate.period()), Ok(rate));
    }

    #[test]
    fn parsing_any_text_does_not_panic(text in any::<String>()) {
        match Rate::parse(&text) {
            Ok(rate) => prop_assert!(rate.limit() <= Rate::MAX_LIMIT && rate.period() <= Rate::MAX_PERIOD),
            Err(error) => prop_assert!(error.position().is_some_and(|position| position <= text.len())),
        }
    }

    #[test]
    fn parsing_any_bytes_does_not_panic(bytes in any::<Vec<u8>>()) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(Rate::parse(&text).is_ok(), text.parse::<Rate>().is_ok());
    }

    #[test]
    fn almost_valid_rate_parses_or_fails_within_the_text(text in almost_a_rate()) {
        match Rate::parse(&text) {
            Ok(rate) => prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate)),
            Err(error) => {
                let position = error.position().unwrap();
                prop_assert!(text.is_char_boundary(position), "{:?}: {}", text, error);
                prop_assert_eq!(text.parse::<Rate>(), Err(error));
            }
        }
    }
}
