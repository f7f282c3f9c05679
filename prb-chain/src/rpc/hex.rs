//! Bytes as nodes write them: `0x` and hex digits.

use ::hex;
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// Bytes that were hex in JSON, decoded without a copy of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

impl HexBytes {
    /// The bytes of a `0x` text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").ok_or_else(|| "hex without 0x".to_owned())?;
        hex::decode(digits).map(Self).map_err(|error| format!("not hex: {error}"))
    }

    /// As a node wants it.
    pub fn text(bytes: impl AsRef<[u8]>) -> String {
        format!("0x{}", hex::encode(bytes))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = HexBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 0x hex text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HexBytes, E> {
                HexBytes::parse(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}
