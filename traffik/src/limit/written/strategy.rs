use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use traffik_core::strategy::{
    AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter,
    SlidingWindowLog, Strategy, TokenBucket,
};

use super::numbers::Whole;
use crate::limit::time_texts::Time;

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

    fn strategy(&self) -> Result<AnyStrategy, String> {
        self.check_parameters()?;
        Ok(match self.name {
            Name::FixedWindow => FixedWindow.into(),
            Name::SlidingWindowCounter => SlidingWindowCounter.into(),
            Name::SlidingWindowLog => SlidingWindowLog.into(),
            Name::Concurrency => Concurrency.into(),
            Name::TokenBucket => {
                let bucket = with(TokenBucket::new(), self.burst, TokenBucket::burst);
                with(bucket, self.debt, TokenBucket::debt).into()
            }
            Name::LeakyBucket => with(LeakyBucket::new(), self.capacity, LeakyBucket::capacity).into(),
            Name::Gcra => with(Gcra::new(), self.burst, Gcra::burst).into(),
            Name::LeakyBucketWithQueue => {
                let queue = with(LeakyBucketWithQueue::new(), self.queue, LeakyBucketWithQueue::queue);
                let queue = match self.max_delay {
                    Some(Time(delay)) => queue.max_delay(delay),
                    None => queue,
                };
                let max_held =
                    |queue: LeakyBucketWithQueue, held| queue.max_held(usize::try_from(held).unwrap_or(usize::MAX));
                with(queue, self.max_held, max_held).into()
            }
        })
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

    /// Returns an error for a parameter that belongs to another strategy.
    fn check_parameters(&self) -> Result<(), String> {
        let allowed: &[&str] = match self.name {
            Name::FixedWindow | Name::SlidingWindowCounter | Name::SlidingWindowLog | Name::Concurrency => &[],
            Name::TokenBucket => &["burst", "debt"],
            Name::LeakyBucket => &["capacity"],
            Name::LeakyBucketWithQueue => &["queue", "max_delay", "max_held"],
            Name::Gcra => &["burst"],
        };
        let wrong = self.parameters().find(|(parameter, _)| !allowed.contains(parameter));
        match wrong {
            None => Ok(()),
            Some((parameter, _)) if allowed.is_empty() => {
                Err(format!("`{parameter}` is no parameter of this strategy, which has none: remove it"))
            }
            Some((parameter, _)) => {
                let allowed: Vec<_> = allowed.iter().map(|name| format!("`{name}`")).collect();
                Err(format!("`{parameter}` is no parameter of this strategy, which has {}", allowed.join(", ")))
            }
        }
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
