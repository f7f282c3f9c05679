//! Package `prb` of `utils`.

use super::message;
use std::fmt;
use zeroize::Zeroize as _;

message! {
    /// `Empty`.
    pub struct Empty {}
}

message! {
    /// `Placeholder`.
    pub struct Placeholder {}
}

message! {
    /// `Ack`.
    pub struct Ack {
        /// Whether it was taken.
        [bool, optional, tag = "1"] ack: Option<bool>,
    }
}

message! {
    /// `BN`: a number of any size.
    pub struct Bn {
        /// Its decimal digits.
        [string, optional, tag = "1"] value: Option<String>,
    }
}

message! {
    /// `FullAccount`: the operator of a pool. Its secrets are not in its `Debug` output and are wiped when it is dropped.
    #[prost(skip_debug)]
    pub struct FullAccount {
        /// Mnemonic of its key: only ever sent to a lifecycle manager.
        [string, optional, tag = "1"] mnemonic: Option<String>,
        /// What v2 shows of its key store: hex of the encrypted key.
        [string, optional, tag = "2"] polkadot_json: Option<String>,
        /// Its address with prefix 30, that of Phala and Khala.
        [string, optional, tag = "3"] ss58_phala: Option<String>,
        /// Its address with prefix 0.
        [string, optional, tag = "4"] ss58_polkadot: Option<String>,
    }
}

message! {
    /// `Account`.
    pub struct Account {
        /// Its address with prefix 30.
        [string, optional, tag = "1"] ss58_phala: Option<String>,
        /// Its address with prefix 0.
        [string, optional, tag = "2"] ss58_polkadot: Option<String>,
    }
}

impl FullAccount {
    /// What makes an operator: its mnemonic.
    pub fn secret(mnemonic: String) -> Self {
        let mut account = Self::default();
        account.mnemonic = Some(mnemonic);
        account
    }

    /// What is shown of one: its addresses, with prefix 30 and 0.
    pub fn shown(ss58_phala: String, ss58_polkadot: String) -> Self {
        let mut account = Self::default();
        (account.ss58_phala, account.ss58_polkadot) = (Some(ss58_phala), Some(ss58_polkadot));
        account
    }
}

impl fmt::Debug for FullAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FullAccount")
            .field("mnemonic", &self.mnemonic.as_ref().map(|_| "hidden"))
            .field("polkadot_json", &self.polkadot_json.as_ref().map(|_| "hidden"))
            .field("ss58_phala", &self.ss58_phala)
            .field("ss58_polkadot", &self.ss58_polkadot)
            .finish()
    }
}

impl Drop for FullAccount {
    fn drop(&mut self) {
        self.mnemonic.zeroize();
        self.polkadot_json.zeroize();
    }
}
