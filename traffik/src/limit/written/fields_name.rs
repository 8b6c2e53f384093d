use std::fmt;

use serde::{Deserialize, Serialize};

use crate::request::Fields;

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
