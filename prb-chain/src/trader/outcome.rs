//! What became of the calls of an extrinsic, read from the events of its block.

use crate::calls::measure;
use codec::{Compact, Decode};
use prb_core::port::{CallResult, sink::DispatchError};
use subxt::{
    Metadata,
    ext::scale_value::{Composite, Primitive, Value, ValueDef, Variant, scale::decode_as_type},
};

/// An event of one extrinsic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pallet: String,
    name: String,
    fields: Composite<u32>,
}

/// How the calls are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrapping {
    pub proxied: bool,
    pub batched: bool,
    pub calls: usize,
}

/// The events of extrinsic `index`, from the value of `System.Events`.
pub(super) fn events_of(bytes: &[u8], index: u32, metadata: &Metadata) -> Result<Vec<Event>, String> {
    let list = metadata
        .pallet_by_name("System")
        .and_then(|pallet| pallet.storage()?.entry_by_name("Events"))
        .ok_or("runtime has no System.Events")?
        .value_ty();
    let record = match metadata.types().resolve(list).map(|ty| &ty.type_def) {
        Some(scale_info::TypeDef::Sequence(sequence)) => sequence.type_param.id,
        _ => return Err("System.Events is not a list".into()),
    };
    let mut rest = bytes;
    let count = Compact::<u32>::decode(&mut rest).map_err(|error| error.to_string())?.0;
    let mut events = Vec::new();
    for _ in 0..count {
        // The decoder follows any nesting; what was measured is known to be shallow.
        let undecodable = |error: String| format!("an event does not decode: {error}");
        let len = measure(rest, record, metadata).map_err(undecodable)?;
        if len == 0 {
            return Err("events take no bytes".into());
        }
        let (mut one, later) = rest.split_at(len);
        rest = later;
        let value = decode_as_type(&mut one, record, metadata.types())
            .map_err(|error| undecodable(error.to_string()))?;
        let ValueDef::Composite(Composite::Named(fields)) = value.value else {
            return Err("an event record has no fields".into());
        };
        let (mut mine, mut event) = (false, None);
        for (name, value) in fields {
            match name.as_str() {
                "phase" => mine = applies(&value, index),
                "event" => event = understand(value),
                _ => {}
            }
        }
        if mine {
            events.push(event.ok_or("an event has no pallet or no name")?);
        }
    }
    Ok(events)
}

/// Whether this is `Phase::ApplyExtrinsic(index)`.
fn applies(phase: &Value<u32>, index: u32) -> bool {
    match &phase.value {
        ValueDef::Variant(phase) if phase.name == "ApplyExtrinsic" => {
            phase.values.values().next().and_then(number) == Some(index.into())
        }
        _ => false,
    }
}

fn understand(event: Value<u32>) -> Option<Event> {
    let ValueDef::Variant(pallet) = event.value else { return None };
    let inner = pallet.values.into_values().next()?;
    let ValueDef::Variant(Variant { name, values }) = inner.value else { return None };
    Some(Event { pallet: pallet.name, name, fields: values })
}

/// The fee that was paid, planck, tip included; none if the runtime does not tell.
pub(super) fn fee(events: &[Event]) -> Option<u128> {
    let paid = |event: &&Event| event.pallet == "TransactionPayment" && event.name == "TransactionFeePaid";
    let Composite::Named(fields) = &events.iter().rev().find(paid)?.fields else { return None };
    fields.iter().find(|(name, _)| name == "actual_fee").and_then(|(_, value)| number(value))
}

/// What became of each call, or why nobody can tell.
pub(super) fn results(
    events: &[Event],
    wrapping: Wrapping,
    metadata: &Metadata,
) -> Result<Vec<CallResult>, String> {
    let of = |pallet: &str, name: &str| {
        events.iter().rev().find(|event| event.pallet == pallet && event.name == name)
    };
    let all = |result: CallResult| vec![result; wrapping.calls];
    if let Some(failed) = of("System", "ExtrinsicFailed") {
        let error = failed.fields.values().next().ok_or("ExtrinsicFailed has no error")?;
        return Ok(all(CallResult::Failed(dispatch_error(error, metadata))));
    }
    if of("System", "ExtrinsicSuccess").is_none() {
        return Err("neither ExtrinsicSuccess nor ExtrinsicFailed".into());
    }
    if wrapping.proxied {
        // The outermost proxy reports last.
        let executed = of("Proxy", "ProxyExecuted").ok_or("no ProxyExecuted")?;
        let result = executed.fields.values().next().ok_or("ProxyExecuted has no result")?;
        if let Some(error) = error_of(result)? {
            return Ok(all(CallResult::Failed(dispatch_error(error, metadata))));
        }
    }
    if !wrapping.batched {
        return Ok(all(CallResult::Ok));
    }
    let mut items = Vec::with_capacity(wrapping.calls);
    for event in events.iter().filter(|event| event.pallet == "Utility") {
        match event.name.as_str() {
            "ItemCompleted" => items.push(CallResult::Ok),
            "ItemFailed" => {
                let error = event.fields.values().next().ok_or("ItemFailed has no error")?;
                items.push(CallResult::Failed(dispatch_error(error, metadata)));
            }
            _ => {}
        }
    }
    if items.is_empty() && of("Utility", "BatchCompleted").is_some() {
        return Ok(all(CallResult::Ok));
    }
    if items.len() != wrapping.calls {
        return Err(format!("{} item events for {} calls", items.len(), wrapping.calls));
    }
    Ok(items)
}

/// The error of a `Result<(), DispatchError>`, none if it is ok.
fn error_of(result: &Value<u32>) -> Result<Option<&Value<u32>>, String> {
    match &result.value {
        ValueDef::Variant(variant) if variant.name == "Ok" => Ok(None),
        ValueDef::Variant(variant) if variant.name == "Err" => Ok(variant.values.values().next()),
        _ => Err("a dispatch result is neither Ok nor Err".into()),
    }
}

/// A `DispatchError` by name.
fn dispatch_error(error: &Value<u32>, metadata: &Metadata) -> DispatchError {
    let ValueDef::Variant(variant) = &error.value else {
        return DispatchError { pallet: None, error: error.to_string() };
    };
    if variant.name == "Module"
        && let Some((pallet, error)) = module_error(&variant.values, metadata)
    {
        return DispatchError { pallet: Some(pallet), error };
    }
    // Errors with a kind inside, such as `Token(FundsUnavailable)`, keep both names.
    let inner = variant.values.values().next().and_then(|value| match &value.value {
        ValueDef::Variant(kind) => Some(kind.name.clone()),
        _ => None,
    });
    let error = match inner {
        Some(kind) => format!("{}.{kind}", variant.name),
        None => variant.name.clone(),
    };
    DispatchError { pallet: None, error }
}

/// Pallet and error of `Module { index, error }`; newer runtimes wrap the two in a struct, older ones have a single
/// byte as error.
fn module_error(values: &Composite<u32>, metadata: &Metadata) -> Option<(String, String)> {
    let mut fields: Vec<&Value<u32>> = values.values().collect();
    if let [only] = fields[..]
        && let ValueDef::Composite(inner) = &only.value
    {
        fields = inner.values().collect();
    }
    let [index, error] = fields[..] else { return None };
    let index = u8::try_from(number(index)?).ok()?;
    let code = match &error.value {
        ValueDef::Composite(bytes) => number(bytes.values().next()?)?,
        _ => number(error)?,
    };
    let pallet = metadata.pallet_by_error_index(index)?;
    let name = u8::try_from(code)
        .ok()
        .and_then(|code| pallet.error_variant_by_index(code))
        .map_or_else(|| format!("error {code}"), |variant| variant.name.clone());
    Some((pallet.name().to_owned(), name))
}

fn number(value: &Value<u32>) -> Option<u128> {
    match value.value {
        ValueDef::Primitive(Primitive::U128(number)) => Some(number),
        // A newtype around a number.
        ValueDef::Composite(ref inner) if inner.len() == 1 => number_of_first(inner),
        _ => None,
    }
}

fn number_of_first(inner: &Composite<u32>) -> Option<u128> {
    inner.values().next().and_then(number)
}

#[cfg(test)]
mod tests;
