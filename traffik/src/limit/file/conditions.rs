use axum::http::Method;
use serde::Deserialize;

use super::texts::Texts;
use crate::request::{Bypass, Rule};

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
