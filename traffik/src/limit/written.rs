//! Values of limits as texts and tables, in a limits file and in requests of operators.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};
use traffik_core::strategy::{
    AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter,
    SlidingWindowLog, Strategy, TokenBucket,
};

use crate::{limit::penalty::PenaltySettings, request::Fields};

/// A limit that an operator adds.
#[cfg(feature = "admin")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenLimit {
    pub(crate) rate: traffik_core::rate::Rate,
    cost: Option<Whole>,
    dry_run: Option<bool>,
    strategy: Option<StrategyTable>,
    penalty: Option<PenaltyTable>,
    fields: Option<FieldsName>,
}

#[cfg(feature = "admin")]
impl WrittenLimit {
    pub(crate) fn settings(self) -> super::Settings {
        let mut settings = super::Settings::new();
        if let Some(StrategyTable { strategy, .. }) = self.strategy {
            settings.strategy = strategy;
        }
        settings.penalty = self.penalty.map(|penalty| penalty.settings());
        settings.cost = self.cost.map_or(settings.cost, |cost| cost.0);
        settings.request.is_dry_run = self.dry_run.unwrap_or_default();
        settings.request.fields = self.fields.map(Into::into);
        settings
    }
}

/// Writes everything that is set.
#[cfg(feature = "admin")]
impl fmt::Display for WrittenLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, cost, dry_run, strategy, penalty, fields } = self;
        rate.fmt(f)?;
        if let Some(Whole(cost)) = cost {
            write!(f, ", cost {cost}")?;
        }
        if let Some(dry_run) = dry_run {
            f.write_str(if *dry_run { ", dry run" } else { ", no dry run" })?;
        }
        if let Some(strategy) = strategy {
            write!(f, ", strategy {strategy}")?;
        }
        if let Some(penalty) = penalty {
            write!(f, ", penalty {penalty}")?;
        }
        fields.map_or(Ok(()), |fields| write!(f, ", fields {fields}"))
    }
}

/// A strategy: its name, or a table with its name and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StrategyTable {
    pub(crate) strategy: AnyStrategy,
    written: Table,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Name {
    FixedWindow,
    SlidingWindowCounter,
    SlidingWindowLog,
    TokenBucket,
    LeakyBucket,
    LeakyBucketWithQueue,
    Gcra,
    Concurrency,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Name,
    burst: Option<Whole>,
    debt: Option<Whole>,
    capacity: Option<Whole>,
    queue: Option<Whole>,
    max_delay: Option<Time>,
    max_held: Option<Whole>,
}

impl Table {
    fn named(name: Name) -> Self {
        Self { name, burst: None, debt: None, capacity: None, queue: None, max_delay: None, max_held: None }
    }

    /// Returns the strategy, or an error for a parameter that belongs to another one.
    fn strategy(&self) -> Result<AnyStrategy, String> {
        let (strategy, allowed): (AnyStrategy, &[_]) = match self.name {
            Name::FixedWindow => (FixedWindow.into(), &[]),
            Name::SlidingWindowCounter => (SlidingWindowCounter.into(), &[]),
            Name::SlidingWindowLog => (SlidingWindowLog.into(), &[]),
            Name::Concurrency => (Concurrency.into(), &[]),
            Name::TokenBucket => {
                let bucket = with(TokenBucket::new(), self.burst, TokenBucket::burst);
                (with(bucket, self.debt, TokenBucket::debt).into(), &["burst", "debt"])
            }
            Name::LeakyBucket => (with(LeakyBucket::new(), self.capacity, LeakyBucket::capacity).into(), &["capacity"]),
            Name::Gcra => (with(Gcra::new(), self.burst, Gcra::burst).into(), &["burst"]),
            Name::LeakyBucketWithQueue => {
                let queue = with(LeakyBucketWithQueue::new(), self.queue, LeakyBucketWithQueue::queue);
                let queue = match self.max_delay {
                    Some(Time(delay)) => queue.max_delay(delay),
                    None => queue,
                };
                let max_held =
                    |queue: LeakyBucketWithQueue, held| queue.max_held(usize::try_from(held).unwrap_or(usize::MAX));
                (with(queue, self.max_held, max_held).into(), &["queue", "max_delay", "max_held"])
            }
        };
        match self.parameters().find(|(parameter, _)| !allowed.contains(parameter)) {
            None => Ok(strategy),
            Some((parameter, _)) if allowed.is_empty() => {
                Err(format!("`{parameter}` is no parameter of this strategy, which has none: remove it"))
            }
            Some((parameter, _)) => {
                let allowed: Vec<_> = allowed.iter().map(|name| format!("`{name}`")).collect();
                Err(format!("`{parameter}` is no parameter of this strategy, which has {}", allowed.join(", ")))
            }
        }
    }

    /// Returns the parameters that are set.
    fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let number = |parameter: Option<Whole>| parameter.map(|Whole(number)| number.to_string());
        let all = [
            ("burst", number(self.burst)),
            ("debt", number(self.debt)),
            ("capacity", number(self.capacity)),
            ("queue", number(self.queue)),
            ("max_delay", self.max_delay.map(|time| time.to_string())),
            ("max_held", number(self.max_held)),
        ];
        all.into_iter().filter_map(|(parameter, value)| Some((parameter, value?)))
    }
}

/// Sets a parameter, if it is given.
fn with<S>(strategy: S, parameter: Option<Whole>, set: impl FnOnce(S, u64) -> S) -> S {
    match parameter {
        Some(Whole(number)) => set(strategy, number),
        None => strategy,
    }
}

impl StrategyTable {
    fn new<E: Error>(written: Table) -> Result<Self, E> {
        Ok(Self { strategy: written.strategy().map_err(E::custom)?, written })
    }
}

/// Writes the name, and the parameters that are set.
impl fmt::Display for StrategyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.strategy.name())?;
        self.written.parameters().try_for_each(|(parameter, value)| write!(f, " {parameter} {value}"))
    }
}

impl<'de> Deserialize<'de> for StrategyTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrategyVisitor)
    }
}

struct StrategyVisitor;

impl<'de> Visitor<'de> for StrategyVisitor {
    type Value = StrategyTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a strategy such as \"token-bucket\", or a table such as { name = \"token-bucket\", burst = 20 }")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<StrategyTable, E> {
        let name = Name::deserialize(serde::de::value::StrDeserializer::new(name))?;
        StrategyTable::new(Table::named(name))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StrategyTable, A::Error> {
        StrategyTable::new(Table::deserialize(MapAccessDeserializer::new(map))?)
    }
}

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

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FieldsName {
    Standard,
    XRatelimit,
    Both,
    Never,
    StandardOnRefusal,
    XRatelimitOnRefusal,
    BothOnRefusal,
}

impl From<FieldsName> for Fields {
    fn from(name: FieldsName) -> Self {
        match name {
            FieldsName::Standard => Self::standard(),
            FieldsName::XRatelimit => Self::x_ratelimit(),
            FieldsName::Both => Self::both(),
            FieldsName::Never => Self::never(),
            FieldsName::StandardOnRefusal => Self::standard().on_refusal(),
            FieldsName::XRatelimitOnRefusal => Self::x_ratelimit().on_refusal(),
            FieldsName::BothOnRefusal => Self::both().on_refusal(),
        }
    }
}

/// Writes the name.
impl fmt::Display for FieldsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A number of something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Whole(pub(crate) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0 on")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        u64::try_from(number).map(Whole).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(number))
    }
}

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
