use std::fmt;

use serde::Deserialize;
use traffik_core::rate::Rate;

use super::{FieldsName, PenaltyTable, StrategyTable, Whole};
use crate::limit::Settings;

/// A limit that an operator adds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenLimit {
    pub(crate) rate: Rate,
    cost: Option<Whole>,
    dry_run: Option<bool>,
    strategy: Option<StrategyTable>,
    penalty: Option<PenaltyTable>,
    fields: Option<FieldsName>,
}

impl WrittenLimit {
    pub(crate) fn settings(self) -> Settings {
        let mut settings = Settings::new();
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
