//! The tables of a limits file, as serde reads them.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, value::Datetime};
use traffik_core::rate::Rate;

use super::{
    conditions::{ConditionTable, MethodName},
    texts::Texts,
};
use crate::limit::written::{FieldsName, PenaltyTable, StrategyTable, Whole};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tables {
    pub(super) enabled: Option<bool>,
    pub(super) limit: BTreeMap<Spanned<String>, LimitTable>,
    /// Limits that the file makes.
    pub(super) new: BTreeMap<Spanned<String>, LimitTable>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, expecting = "a table of settings such as `rate` and `cost`")]
pub(super) struct LimitTable {
    pub(super) rate: Option<Spanned<Rate>>,
    pub(super) cost: Option<Whole>,
    pub(super) enabled: Option<bool>,
    pub(super) dry_run: Option<bool>,
    pub(super) strategy: Option<Spanned<StrategyTable>>,
    pub(super) penalty: Option<Spanned<PenaltyTable>>,
    pub(super) fields: Option<FieldsName>,
    pub(super) rule: Vec<Spanned<ConditionTable>>,
    pub(super) bypass: Vec<Spanned<ConditionTable>>,
    #[serde(rename = "override")]
    pub(super) overrides: Vec<Spanned<OverrideTable>>,
    pub(super) block: Vec<Spanned<BlockTable>>,
    pub(super) exempt: Vec<Spanned<ExemptTable>>,
    /// The paths of a limit that the file makes.
    pub(super) path: Option<Spanned<Texts>>,
    /// The methods of a limit that the file makes.
    pub(super) methods: Option<Spanned<Vec<MethodName>>>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table with `client`, `rate` and perhaps `until`")]
pub(super) struct OverrideTable {
    pub(super) client: Spanned<String>,
    pub(super) rate: Spanned<Rate>,
    pub(super) until: Option<Spanned<Datetime>>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table with `client` and perhaps `until` and `reason`")]
pub(super) struct BlockTable {
    pub(super) client: Spanned<String>,
    pub(super) until: Option<Spanned<Datetime>>,
    #[serde(default)]
    pub(super) reason: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table with `client` and perhaps `until`")]
pub(super) struct ExemptTable {
    pub(super) client: Spanned<String>,
    pub(super) until: Option<Spanned<Datetime>>,
}
