//! How messages are written in JSON and read from it.

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use bytes::Bytes;
use serde_json::{Map, Value};

/// JSON that is not the message that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {wanted} is wanted", if field.is_empty() { "body" } else { field })]
pub struct BadJson {
    /// Which field, like `pools[0].owner.mnemonic`; empty if it is all of it.
    pub field: String,
    /// What it should have been.
    pub wanted: &'static str,
}

impl BadJson {
    fn wanted(wanted: &'static str) -> Self {
        Self { field: String::new(), wanted }
    }

    fn within(mut self, outer: &str) -> Self {
        let glue = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{outer}{glue}{}", self.field);
        self
    }
}

/// One value.
pub(crate) trait Item: Sized {
    fn write(&self) -> Value;
    fn read(value: &Value) -> Result<Self, BadJson>;
}

/// What a message has under one name: a value that may be absent, or several.
pub(super) trait Field: Default {
    /// None if it is left out.
    fn write(&self) -> Option<Value>;
    fn read(value: &Value) -> Result<Self, BadJson>;
}

/// An enum, the numbers of which have names.
pub(super) trait Named: Copy + TryFrom<i32> + Into<i32> + 'static {
    #[cfg(test)]
    const ALL: &'static [Self];

    fn name(self) -> &'static str;
}

/// Writes an object.
#[derive(Default)]
pub(super) struct Writer(Map<String, Value>);

impl Writer {
    pub(super) fn field(&mut self, name: &str, field: &impl Field) {
        if let Some(value) = field.write() {
            self.0.insert(camel(name), value);
        }
    }

    /// A number nobody has named yet stays a number.
    pub(super) fn named<E: Named>(&mut self, name: &str, number: Option<i32>) {
        if let Some(number) = number {
            let value = E::try_from(number).map_or(Value::from(number), |value| Value::from(value.name()));
            self.0.insert(camel(name), value);
        }
    }

    pub(super) fn finish(self) -> Value {
        Value::Object(self.0)
    }
}

/// Reads an object.
pub(super) struct Reader<'a>(&'a Map<String, Value>);

impl<'a> Reader<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, BadJson> {
        value.as_object().map(Self).ok_or(BadJson::wanted("an object"))
    }

    pub(super) fn field<F: Field>(&self, name: &str) -> Result<F, BadJson> {
        let name = camel(name);
        match self.0.get(&name) {
            None | Some(Value::Null) => Ok(F::default()),
            Some(value) => F::read(value).map_err(|error| error.within(&name)),
        }
    }
}

impl<T: Item> Field for Option<T> {
    fn write(&self) -> Option<Value> {
        self.as_ref().map(Item::write)
    }

    fn read(value: &Value) -> Result<Self, BadJson> {
        Item::read(value).map(Some)
    }
}

impl<T: Item> Field for Vec<T> {
    fn write(&self) -> Option<Value> {
        (!self.is_empty()).then(|| self.iter().map(Item::write).collect())
    }

    fn read(value: &Value) -> Result<Self, BadJson> {
        let items = value.as_array().ok_or(BadJson::wanted("a list"))?.iter().enumerate();
        items.map(|(at, item)| T::read(item).map_err(|error| error.within(&format!("[{at}]")))).collect()
    }
}

impl Item for String {
    fn write(&self) -> Value {
        Value::from(self.as_str())
    }

    fn read(value: &Value) -> Result<Self, BadJson> {
        value.as_str().map(str::to_owned).ok_or(BadJson::wanted("text"))
    }
}

impl Item for bool {
    fn write(&self) -> Value {
        Value::from(*self)
    }

    fn read(value: &Value) -> Result<Self, BadJson> {
        value.as_bool().ok_or(BadJson::wanted("true or false"))
    }
}

impl Item for u32 {
    fn write(&self) -> Value {
        Value::from(*self)
    }

    fn read(value: &Value) -> Result<Self, BadJson> {
        let number = whole(value).and_then(|number| number.try_into().ok());
        number.ok_or(BadJson::wanted("a whole number from 0 to 4294967295"))
    }
}

/// Numbers, and the numbers of enums.
impl Item for i32 {
    fn write(&self) -> Value {
        Value::from(*self)
    }

    fn read(value: &Value) -> Result<Self, BadJson> {
        let number = whole(value).and_then(|number| number.try_into().ok());
        number.ok_or(BadJson::wanted("a whole number from -2147483648 to 2147483647, not a name or a string"))
    }
}

impl Item for u64 {
    fn write(&self) -> Value {
        Value::from(self.to_string())
    }

    fn read(value: &Value) -> Result<Self, BadJson> {
        let number = match value {
            Value::String(digits) => digits.parse().ok(),
            value => whole(value).and_then(|number| number.try_into().ok()),
        };
        number.ok_or(BadJson::wanted("a whole number from 0 to 18446744073709551615, bare or as a string,"))
    }
}

impl Item for Bytes {
    fn write(&self) -> Value {
        Value::from(BASE64.encode(self))
    }

    fn read(value: &Value) -> Result<Self, BadJson> {
        let bytes = value.as_str().and_then(|text| BASE64.decode(text).ok());
        bytes.map(Self::from).ok_or(BadJson::wanted("base 64 text"))
    }
}

/// JavaScript has one kind of number: 2, 2.0 and 2e0 are the same.
fn whole(value: &Value) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match (value.as_i64(), value.as_u64(), value.as_f64()) {
        (Some(number), ..) => Some(number.into()),
        (_, Some(number), _) => Some(number.into()),
        (.., Some(number)) if number.fract() == 0.0 && number.abs() <= EXACT => Some(number as i128),
        _ => None,
    }
}

/// `real_phala_ss58` as `realPhalaSs58`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(1.min(word.len()));
        camel.extend(first.chars().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(rest);
    }
    camel
}

/// Standard letters; v2 reads text with and without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
