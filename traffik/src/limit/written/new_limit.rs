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
        if let Some(StrategyTable(strategy)) = self.strategy {
            settings.strategy = strategy;
        }
        settings.penalty = self.penalty.map(|penalty| penalty.settings());
        settings.cost = self.cost.map_or(settings.cost, |cost| cost.0);
        settings.request.is_dry_run = self.dry_run.unwrap_or_default();
        settings.request.fields = self.fields.map(Into::into);
        settings
    }
}
