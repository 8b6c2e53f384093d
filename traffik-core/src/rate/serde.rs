use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

use super::Rate;

/// As a string, such as `"100/min"`.
impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From a string, such as `"100/min"`.
impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(RateVisitor)
    }
}

struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate such as \"100/min\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
        Rate::parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::{
        IntoDeserializer,
        value::{Error, StrDeserializer, StringDeserializer, U64Deserializer},
    };

    use super::*;

    /// serde takes a `Formatter` for a serializer of plain values.
    struct Serialized(Rate);

    impl fmt::Display for Serialized {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.serialize(f)
        }
    }

    #[test]
    fn rate_is_serialized_as_a_string() {
        let rate = Rate::literal("100/5m30s");
        assert_eq!(Serialized(rate).to_string(), "100/5m30s");
        let text: StrDeserializer<'_, Error> = "100 per 5m 30s".into_deserializer();
        assert_eq!(Rate::deserialize(text), Ok(rate));
        let text: StringDeserializer<Error> = "100/330s".to_owned().into_deserializer();
        assert_eq!(Rate::deserialize(text), Ok(rate));
    }

    #[test]
    fn text_that_is_no_rate_is_an_error_that_says_why() {
        let text: StrDeserializer<'_, Error> = "100/fortnight".into_deserializer();
        let error = Rate::deserialize(text).unwrap_err();
        assert_eq!(error.to_string(), Rate::parse("100/fortnight").unwrap_err().to_string());
        let number: U64Deserializer<Error> = 100_u64.into_deserializer();
        let error = Rate::deserialize(number).unwrap_err();
        assert_eq!(error.to_string(), "invalid type: integer `100`, expected a rate such as \"100/min\"");
    }
}
