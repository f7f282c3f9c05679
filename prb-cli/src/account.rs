//! Accounts as people write them: SS58 addresses or hex.

use blake2::{Blake2b512, Digest};
use prb_core::id::AccountId;

/// A text that is no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no account; write an SS58 address or 64 hex digits")]
pub struct BadAccount(String);

/// The account of an SS58 address (any network prefix; the checksum is checked) or of 64 hex digits.
pub fn parse(text: &str) -> Result<AccountId, BadAccount> {
    let text = text.trim();
    text.parse().ok().or_else(|| ss58(text)).ok_or_else(|| BadAccount(text.to_owned()))
}

/// Network prefix of Phala and Khala.
pub const PHALA_PREFIX: u8 = 30;

/// The SS58 address of an account on the network with this prefix, below 64.
pub fn address(account: &AccountId, prefix: u8) -> String {
    let mut bytes = vec![prefix];
    bytes.extend_from_slice(&account.0);
    let digest = checksum(&bytes);
    bytes.extend_from_slice(&digest[..2]);
    bs58::encode(bytes).into_string()
}

fn checksum(payload: &[u8]) -> [u8; 64] {
    Blake2b512::new().chain_update(b"SS58PRE").chain_update(payload).finalize().into()
}

/// SS58 of the Substrate documentation: prefix (1 byte below 64, else 2) ‖ account (32) ‖ the first two bytes of
/// BLAKE2b-512 of `SS58PRE` ‖ prefix ‖ account.
fn ss58(text: &str) -> Option<AccountId> {
    let bytes = bs58::decode(text).into_vec().ok()?;
    let prefix_len = if bytes.first()? & 0b0100_0000 == 0 { 1 } else { 2 };
    let (payload, checksum) = bytes.split_at_checked(prefix_len + 32)?;
    (checksum == &self::checksum(payload)[..2]).then_some(AccountId(payload[prefix_len..].try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[test]
    fn addresses_and_hex_name_the_same_account() {
        for text in [ALICE, &ALICE[2..], "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"] {
            assert_eq!(parse(text).unwrap().to_string(), ALICE, "{text}");
        }
    }

    #[test]
    fn an_address_names_its_account_on_every_network() {
        let alice = parse(ALICE).unwrap();
        assert_eq!(address(&alice, 42), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
        // Also the address of polkadot.js for network 30.
        assert_eq!(address(&alice, PHALA_PREFIX), "45R2pfjQUW2s9PQRHU48HQKLKHVMaDja7N3wpBtmF28UYDs2");
        assert_eq!(parse(&address(&alice, PHALA_PREFIX)).unwrap(), alice);
    }

    #[test]
    fn typing_errors_are_noticed() {
        for text in ["", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ", "0x12", "alice"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
