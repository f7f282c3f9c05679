//! Whether bytes are a value of a type of the metadata, found out in bounded depth, time and memory: both come from a
//! node, and a decoder that follows them to any depth exhausts the stack, which ends the process.

use codec::{Compact, Decode};
use scale_info::{PortableRegistry, TypeDef, TypeDefPrimitive, form::PortableForm};
use subxt::Metadata;

/// Deepest nesting of values that is followed. Those of real runtimes nest some twenty deep; message programs (`xcm`),
/// which hold each other, take four more for each of their at most eight levels.
const MAX_DEPTH: u32 = 128;

/// Values that are visited at the most for each byte and beside them: lists of values without bytes are no use to
/// anybody.
const VALUES_PER_BYTE: usize = 16;
const VALUES_BESIDE: usize = 4096;

/// Whether `bytes` are exactly one value of type `id`; the error says why not.
pub(crate) fn fits(bytes: &[u8], id: u32, metadata: &Metadata) -> Result<(), String> {
    match measure(bytes, id, metadata)? {
        len if len == bytes.len() => Ok(()),
        len => Err(format!("{} bytes too many", bytes.len() - len)),
    }
}

/// Whether values of type `id` take no bytes.
pub(crate) fn is_zero_sized(id: u32, metadata: &Metadata) -> bool {
    // Nothing to read is enough exactly for types without bytes.
    fits(&[], id, metadata).is_ok()
}

/// How many bytes the value of type `id` takes that `bytes` begin with. A value that passes can be decoded with a
/// recursive decoder, on little stack.
pub(crate) fn measure(bytes: &[u8], id: u32, metadata: &Metadata) -> Result<usize, String> {
    let values = bytes.len().saturating_mul(VALUES_PER_BYTE).saturating_add(VALUES_BESIDE);
    let mut walk = Walk { types: metadata.types(), rest: bytes, values };
    walk.value(id, 0)?;
    Ok(bytes.len() - walk.rest.len())
}

struct Walk<'a> {
    types: &'a PortableRegistry,
    rest: &'a [u8],
    /// How many more values may be visited.
    values: usize,
}

impl<'a> Walk<'a> {
    fn value(&mut self, id: u32, depth: u32) -> Result<(), String> {
        self.values = self.values.checked_sub(1).ok_or("more values than the bytes can mean")?;
        if depth > MAX_DEPTH {
            return Err(format!("values nest more than {MAX_DEPTH} deep"));
        }
        match self.def(id)? {
            TypeDef::Composite(composite) => {
                self.all(composite.fields.iter().map(|field| field.ty.id), depth)
            }
            TypeDef::Tuple(tuple) => self.all(tuple.fields.iter().map(|field| field.id), depth),
            TypeDef::Variant(variants) => {
                let index = self.take(1)?[0];
                let variant = variants.variants.iter().find(|variant| variant.index == index);
                let variant = variant.ok_or_else(|| format!("no variant has index {index}"))?;
                self.all(variant.fields.iter().map(|field| field.ty.id), depth)
            }
            TypeDef::Sequence(list) => {
                let count = self.count()?;
                self.list(list.type_param.id, count, depth)
            }
            TypeDef::Array(array) => self.list(array.type_param.id, array.len as usize, depth),
            TypeDef::Primitive(TypeDefPrimitive::Str) => {
                let count = self.count()?;
                std::str::from_utf8(self.take(count)?).map(|_| ()).map_err(|error| error.to_string())
            }
            TypeDef::Primitive(primitive) => self.primitive(primitive),
            TypeDef::Compact(compact) => self.compact(compact.type_param.id),
            TypeDef::BitSequence(bits) => {
                let store = match self.def(bits.bit_store_type.id)? {
                    TypeDef::Primitive(TypeDefPrimitive::U8) => 1,
                    TypeDef::Primitive(TypeDefPrimitive::U16) => 2,
                    TypeDef::Primitive(TypeDefPrimitive::U32) => 4,
                    TypeDef::Primitive(TypeDefPrimitive::U64) => 8,
                    _ => return Err("bits stored in no unsigned number".to_owned()),
                };
                let count = self.count()?;
                self.take(count.div_ceil(store * 8) * store).map(|_| ())
            }
        }
    }

    fn all(&mut self, mut ids: impl Iterator<Item = u32>, depth: u32) -> Result<(), String> {
        ids.try_for_each(|id| self.value(id, depth + 1))
    }

    fn list(&mut self, id: u32, count: usize, depth: u32) -> Result<(), String> {
        // Most lists are of bytes.
        if matches!(self.def(id)?, TypeDef::Primitive(TypeDefPrimitive::U8)) {
            return self.take(count).map(|_| ());
        }
        (0..count).try_for_each(|_| self.value(id, depth + 1))
    }

    fn primitive(&mut self, primitive: &TypeDefPrimitive) -> Result<(), String> {
        use TypeDefPrimitive as P;
        let bytes = match primitive {
            P::Bool => match self.take(1)? {
                [0 | 1] => return Ok(()),
                _ => return Err("a truth value that is neither 0 nor 1".to_owned()),
            },
            P::Char => {
                let code = self.take(4)?.first_chunk().copied().map(u32::from_le_bytes);
                return code.and_then(char::from_u32).map(|_| ()).ok_or_else(|| "no character".to_owned());
            }
            P::Str => 0,
            P::U8 | P::I8 => 1,
            P::U16 | P::I16 => 2,
            P::U32 | P::I32 => 4,
            P::U64 | P::I64 => 8,
            P::U128 | P::I128 => 16,
            P::U256 | P::I256 => 32,
        };
        self.take(bytes).map(|_| ())
    }

    /// A compact number, perhaps wrapped in types of one field.
    fn compact(&mut self, mut id: u32) -> Result<(), String> {
        let bad = |error: codec::Error| error.to_string();
        for _ in 0..MAX_DEPTH {
            id = match self.def(id)? {
                TypeDef::Composite(inner) if inner.fields.len() == 1 => inner.fields[0].ty.id,
                TypeDef::Tuple(inner) if inner.fields.len() == 1 => inner.fields[0].id,
                TypeDef::Composite(inner) if inner.fields.is_empty() => return Ok(()),
                TypeDef::Tuple(inner) if inner.fields.is_empty() => return Ok(()),
                TypeDef::Primitive(TypeDefPrimitive::U8) => {
                    return Compact::<u8>::decode(&mut self.rest).map(|_| ()).map_err(bad);
                }
                TypeDef::Primitive(TypeDefPrimitive::U16) => {
                    return Compact::<u16>::decode(&mut self.rest).map(|_| ()).map_err(bad);
                }
                TypeDef::Primitive(TypeDefPrimitive::U32) => {
                    return Compact::<u32>::decode(&mut self.rest).map(|_| ()).map_err(bad);
                }
                TypeDef::Primitive(TypeDefPrimitive::U64) => {
                    return Compact::<u64>::decode(&mut self.rest).map(|_| ()).map_err(bad);
                }
                TypeDef::Primitive(TypeDefPrimitive::U128) => {
                    return Compact::<u128>::decode(&mut self.rest).map(|_| ()).map_err(bad);
                }
                _ => return Err("a compact encoding of no unsigned number".to_owned()),
            };
        }
        Err(format!("types nest more than {MAX_DEPTH} deep"))
    }

    fn count(&mut self) -> Result<usize, String> {
        Compact::<u32>::decode(&mut self.rest)
            .map(|count| count.0 as usize)
            .map_err(|error| error.to_string())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("not enough bytes")?;
        self.rest = rest;
        Ok(taken)
    }

    fn def(&self, id: u32) -> Result<&'a TypeDef<PortableForm>, String> {
        self.types
            .resolve(id)
            .map(|ty| &ty.type_def)
            .ok_or_else(|| format!("type {id} is not in the metadata"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::Encode;
    use scale_info::{MetaType, Registry, TypeInfo};
    use subxt::ext::{
        scale_decode::visitor::{IgnoreVisitor, decode_with_visitor},
        scale_value::scale as scale_value,
    };

    #[derive(Encode, TypeInfo)]
    enum Tree {
        Leaf(bool),
        #[codec(index = 7)]
        Fork(Vec<Tree>, #[codec(compact)] u32),
    }

    #[derive(Encode, TypeInfo)]
    struct Mixed {
        tree: Tree,
        array: [u16; 3],
        nothing: (),
        text: String,
        bytes: Vec<u8>,
        wide: Compact<u128>,
        maybe: Option<(u64, i8)>,
    }

    fn types<T: TypeInfo + 'static>() -> (u32, PortableRegistry) {
        let mut registry = Registry::new();
        let id = registry.register_type(&MetaType::new::<T>()).id;
        (id, registry.into())
    }

    fn walk(bytes: &[u8], id: u32, types: &PortableRegistry) -> Result<usize, String> {
        let mut walk = Walk { types, rest: bytes, values: bytes.len() * VALUES_PER_BYTE + VALUES_BESIDE };
        walk.value(id, 0).map(|()| bytes.len() - walk.rest.len())
    }

    fn sample() -> Vec<u8> {
        let tree = Tree::Fork(vec![Tree::Leaf(true), Tree::Fork(vec![], 70_000)], 5);
        let (array, bytes) = ([1, 2, 3], vec![9; 70]);
        let (text, wide) = ("héllo".to_owned(), Compact(1 << 100));
        Mixed { tree, array, nothing: (), text, bytes, wide, maybe: Some((7, -1)) }.encode()
    }

    #[test]
    fn values_are_measured_as_a_decoder_reads_them() {
        let (id, types) = types::<Mixed>();
        let whole = sample();
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(walk(&longer, id, &types), Ok(whole.len()));
        for len in 0..whole.len() {
            assert!(walk(&whole[..len], id, &types).is_err(), "cut at {len}");
        }
        // Every changed byte means the same to both.
        for at in 0..whole.len() {
            for change in 1..=255u8 {
                let mut changed = whole.clone();
                changed[at] ^= change;
                let mut rest = &changed[..];
                let theirs = decode_with_visitor(&mut rest, id, &types, IgnoreVisitor::new());
                let theirs = theirs.is_ok().then(|| changed.len() - rest.len());
                let ours = walk(&changed, id, &types);
                // The decoder skips what texts, truth values and characters hold.
                assert!(
                    ours.is_err() || ours.as_ref().ok() == theirs.as_ref(),
                    "{at} {change}: {ours:?} {theirs:?}"
                );
            }
        }
    }

    #[test]
    fn nesting_that_would_exhaust_the_stack_is_refused() {
        let (id, types) = types::<Tree>();
        let deep = [7, 4].repeat(1 << 20);
        assert!(walk(&deep, id, &types).unwrap_err().contains("deep"));
    }

    #[test]
    fn what_is_not_refused_is_decoded_on_the_stack_of_any_thread() {
        let (id, types) = types::<Tree>();
        let levels = MAX_DEPTH as usize / 2 - 1;
        let deep = [[7, 4].repeat(levels), vec![0, 1], vec![0; levels]].concat();
        assert_eq!(walk(&deep, id, &types), Ok(deep.len()));
        let decode = move || scale_value::decode_as_type(&mut &deep[..], id, &types).is_ok();
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(decode).unwrap();
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_type_that_contains_itself_is_refused() {
        // Composite of one field of its own type, and a list of them.
        let composite = |id: u32| {
            let field = (Option::<String>::None, Compact(id), Option::<String>::None, Vec::<String>::new());
            (Vec::<String>::new(), Vec::<()>::new(), 0u8, vec![field], Vec::<String>::new())
        };
        let encoded = vec![(Compact(0u32), composite(0))].encode();
        let types = PortableRegistry::decode(&mut &encoded[..]).unwrap();
        assert!(walk(&[], 0, &types).unwrap_err().contains("deep"));
        let mut compact = Walk { types: &types, rest: &[4], values: 10 };
        assert!(compact.compact(0).is_err());
    }

    #[test]
    fn a_long_list_of_nothing_is_refused() {
        let (id, types) = types::<Vec<()>>();
        assert_eq!(walk(&Compact(100u32).encode(), id, &types), Ok(2));
        assert!(walk(&Compact(u32::MAX).encode(), id, &types).unwrap_err().contains("more values"));
    }
}
