//! The tables of a limits file, as serde reads them.

use std::{collections::BTreeMap, fmt};

use axum::http::Method;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use toml::{Spanned, value::Datetime};
use traffik_core::rate::Rate;

use crate::{
    limit::written::{FieldsName, PenaltyTable, StrategyTable, Whole},
    request::{Bypass, Rule},
};

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

/// The conditions of a rule or a bypass, all of which must be true.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, expecting = "a table of conditions such as `path` and `methods`")]
pub(super) struct ConditionTable {
    path: Option<Texts>,
    prefix: Option<Texts>,
    #[cfg(feature = "regex")]
    regex: Option<Texts>,
    methods: Option<Vec<MethodName>>,
    networks: Option<Vec<String>>,
    websocket: Option<bool>,
}

/// A method in upper case.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub(super) struct MethodName(Method);

impl TryFrom<String> for MethodName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let method = Method::from_bytes(name.as_bytes()).ok();
        let method = method.filter(|_| !name.contains(|letter: char| letter.is_ascii_lowercase()));
        method.map(Self).ok_or_else(|| format!("{name:?} is no method: write it in upper case, such as \"POST\""))
    }
}

impl ConditionTable {
    /// Returns the conditions of a limit that a file makes.
    pub(super) fn of(path: &Texts, methods: Option<&Vec<MethodName>>) -> Self {
        Self { path: Some(path.clone()), methods: methods.cloned(), ..Self::default() }
    }
}

/// Defines a conversion for rules, and one for bypasses.
macro_rules! conversions {
    ($($name:ident: $to:ident,)+) => {
        impl ConditionTable {
            $(
                /// Returns `None` if it has no condition.
                pub(super) fn $name(&self) -> Option<$to> {
                    let one_of = |texts: &Option<Texts>, by: fn(&str) -> $to| {
                        texts.iter().flat_map(|texts| &texts.0).map(|text| by(text)).reduce($to::or)
                    };
                    let methods = |methods: &Vec<MethodName>| {
                        $to::methods(methods.iter().map(|method| method.0.clone()))
                    };
                    #[cfg(feature = "regex")]
                    let regex = one_of(&self.regex, $to::regex);
                    #[cfg(not(feature = "regex"))]
                    let regex = None;
                    let all = [
                        one_of(&self.path, $to::path),
                        one_of(&self.prefix, $to::prefix),
                        regex,
                        self.methods.as_ref().map(methods),
                        self.networks.as_ref().map($to::networks),
                        self.websocket.map(|is_one| if is_one { $to::websocket() } else { $to::http() }),
                    ];
                    all.into_iter().flatten().reduce($to::and)
                }
            )+
        }
    };
}

conversions! {
    rule: Rule,
    bypass: Bypass,
}

/// A text, or several.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Texts(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list of at least one")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        if texts.is_empty() { Err(A::Error::invalid_length(0, &self)) } else { Ok(Texts(texts)) }
    }
}
