//! Node JSON and its exact SCALE form.

use crate::rpc::HexBytes;
use codec::{DecodeAll, Encode};
use prb_core::{
    Bytes,
    id::Hash,
    types::{
        header::{DigestItem, Header},
        sync::{StorageChanges, StorageCollection},
    },
};
use serde::{Deserialize, Deserializer, de::Error};

/// A hash in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HashText(pub Hash);

impl<'de> Deserialize<'de> for HashText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let HexBytes(bytes) = HexBytes::deserialize(deserializer)?;
        let len = bytes.len();
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|_| D::Error::custom(format!("a hash of {len} bytes")))?;
        Ok(Self(Hash(bytes)))
    }
}

/// `chain_getHeader`'s answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeaderJson {
    parent_hash: HashText,
    number: Quantity,
    state_root: HashText,
    extrinsics_root: HashText,
    digest: DigestJson,
}

#[derive(Deserialize)]
struct DigestJson {
    logs: Vec<HexBytes>,
}

/// What matters here of `chain_getBlock`'s answer.
#[derive(Deserialize)]
pub(super) struct BlockJson {
    pub(super) block: HeaderOfJson,
    /// Engine and justification, as lists of numbers.
    #[serde(default)]
    pub(super) justifications: Option<Vec<([u8; 4], Vec<u8>)>>,
}

/// A block without its body.
#[derive(Deserialize)]
pub(super) struct HeaderOfJson {
    pub(super) header: HeaderJson,
}

/// A number, as hex quantity or as a JSON number.
#[derive(Clone, Copy)]
struct Quantity(u32);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u32),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => text
                .strip_prefix("0x")
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .map(Self)
                .ok_or_else(|| D::Error::custom("not a hex number of 32 bits")),
        }
    }
}

impl HeaderJson {
    /// The header; an error names the digest item that does not decode.
    pub(crate) fn header(self) -> Result<Header, String> {
        let digest = self
            .digest
            .logs
            .iter()
            .map(|HexBytes(item)| {
                DigestItem::decode_all(&mut item.as_slice()).map_err(|error| format!("digest item: {error}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Header {
            parent_hash: self.parent_hash.0,
            number: self.number.0,
            state_root: self.state_root.0,
            extrinsics_root: self.extrinsics_root.0,
            digest,
        })
    }
}

/// One block of `pha_getStorageChanges`' answer, SCALE-encoded when read.
pub(super) struct ChangesJson(pub Bytes);

impl<'de> Deserialize<'de> for ChangesJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Collection = Vec<(HexBytes, Option<HexBytes>)>;

        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape {
            main_storage_changes: Collection,
            child_storage_changes: Vec<(HexBytes, Collection)>,
        }

        fn plain(collection: Collection) -> StorageCollection {
            collection.into_iter().map(|(key, value)| (key.0, value.map(|value| value.0))).collect()
        }

        let shape = Shape::deserialize(deserializer)?;
        let child = shape.child_storage_changes.into_iter();
        let changes = StorageChanges {
            main_storage_changes: plain(shape.main_storage_changes),
            child_storage_changes: child.map(|(key, delta)| (key.0, plain(delta))).collect(),
        };
        Ok(Self(changes.encode().into()))
    }
}

/// `state_getReadProof`'s answer.
#[derive(Deserialize)]
pub(super) struct ReadProofJson {
    pub(super) proof: Vec<HexBytes>,
}

/// One element of `state_queryStorageAt`'s answer.
#[derive(Deserialize)]
pub(super) struct ChangeSetJson {
    pub(super) changes: Vec<(HexBytes, Option<HexBytes>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_becomes_the_bytes_that_hash_to_its_hash() {
        let zeros = "00".repeat(32);
        let json = format!(
            r#"{{"parentHash":"0x{zeros}","number":"0x7f0a1b","stateRoot":"0x{zeros}","extrinsicsRoot":"0x{zeros}",
               "digest":{{"logs":["0x06424142450c010203","0x08"]}}}}"#
        );
        let header = serde_json::from_str::<HeaderJson>(&json).unwrap().header().unwrap();
        assert_eq!(header.number, 0x7f_0a1b);
        assert_eq!(
            header.digest,
            [DigestItem::PreRuntime(*b"BABE", vec![1, 2, 3]), DigestItem::RuntimeEnvironmentUpdated]
        );
    }

    #[test]
    fn a_digest_item_with_bytes_left_over_is_refused() {
        let zeros = "00".repeat(32);
        let json = format!(
            r#"{{"parentHash":"0x{zeros}","number":1,"stateRoot":"0x{zeros}","extrinsicsRoot":"0x{zeros}",
               "digest":{{"logs":["0x0800"]}}}}"#
        );
        assert!(serde_json::from_str::<HeaderJson>(&json).unwrap().header().is_err());
    }

    #[test]
    fn storage_changes_become_the_published_scale_bytes() {
        let json = r#"{"mainStorageChanges": [["0x2f039a6a7f13e94b9545257e54062a048a395e6242c6813b196ca31ed0547ea7", null],
            ["0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb", "0xe096e5cf8b010000"]],
            "childStorageChanges": []}"#;
        let expected = "08802f039a6a7f13e94b9545257e54062a048a395e6242c6813b196ca31ed0547ea70080\
            f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb0120e096e5cf8b01000000";
        let changes: ChangesJson = serde_json::from_str(json).unwrap();
        assert_eq!(hex::encode(changes.0), expected);
    }

    #[test]
    fn empty_and_deleted_values_and_child_tries_are_told_apart() {
        let json = r#"{"mainStorageChanges": [["0x01", "0x"], ["0x02", null]],
            "childStorageChanges": [["0xcc", [["0x03", "0x04"]]]]}"#;
        let ChangesJson(bytes) = serde_json::from_str(json).unwrap();
        let changes = StorageChanges::decode_all(&mut bytes.as_ref()).unwrap();
        assert_eq!(changes.main_storage_changes, [(vec![1], Some(vec![])), (vec![2], None)]);
        assert_eq!(changes.child_storage_changes, [(vec![0xcc], vec![(vec![3], Some(vec![4]))])]);
    }
}
