//! Operator keys.

use prb_core::id::{AccountId, PoolId};
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey, SecretKey, signing_context};
use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
};
use subxt_signer::SecretUri;

/// An sr25519 key that signs extrinsics. Its secret is shown nowhere.
#[derive(Clone)]
pub struct Signer(Secret);

#[derive(Clone)]
enum Secret {
    Derived(Box<subxt_signer::sr25519::Keypair>),
    Plain(Box<Keypair>),
}

impl Signer {
    /// From a mnemonic of 12 to 24 words, a seed as `0x` hex, or either with derivation (`//Alice`, `…//1/soft///password`).
    pub fn from_uri(uri: &str) -> Result<Self, BadKey> {
        let uri = uri.trim();
        // An empty phrase means the public development phrase; without derivation that is a forgotten setting.
        if uri.is_empty() || uri.starts_with("///") {
            return Err(BadKey::Uri);
        }
        let uri = SecretUri::from_str(uri).map_err(|_| BadKey::Uri)?;
        let pair = subxt_signer::sr25519::Keypair::from_uri(&uri).map_err(|_| BadKey::Uri)?;
        Ok(Self(Secret::Derived(Box::new(pair))))
    }

    /// From a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, BadKey> {
        let seed = MiniSecretKey::from_bytes(seed).map_err(|_| BadKey::SecretKey)?;
        Ok(Self(Secret::Plain(Box::new(seed.expand_to_keypair(ExpansionMode::Ed25519)))))
    }

    /// From a 64-byte expanded secret key: scalar ‖ nonce seed, the scalar either as schnorrkel writes it
    /// (`sp_core` and PRB v3 do) or multiplied by the cofactor as in an expanded ed25519 key (polkadot.js and PRB v2
    /// do). The latter is at least 2^254 for keys made from a seed, far above any scalar, so the two are told apart.
    pub fn from_secret_key(bytes: &[u8; 64]) -> Result<Self, BadKey> {
        let secret = SecretKey::from_bytes(bytes)
            .or_else(|_| SecretKey::from_ed25519_bytes(bytes))
            .map_err(|_| BadKey::SecretKey)?;
        Ok(Self(Secret::Plain(Box::new(secret.to_keypair()))))
    }

    /// From the hex (with or without `0x`) of [`Self::from_secret_key`].
    pub fn from_secret_key_hex(hex: &str) -> Result<Self, BadKey> {
        let hex = hex.trim();
        let mut bytes = [0; 64];
        hex::decode_to_slice(hex.strip_prefix("0x").unwrap_or(hex), &mut bytes)
            .map_err(|_| BadKey::SecretKey)?;
        Self::from_secret_key(&bytes)
    }

    /// From any form people keep a key in: what [`Self::from_uri`] takes, or [`Self::from_secret_key_hex`].
    pub fn from_text(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() == 128 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Self::from_secret_key_hex(digits);
        }
        Self::from_uri(text).map_err(|_| BadKey::Text)
    }

    /// Its account.
    pub fn account(&self) -> AccountId {
        AccountId(match &self.0 {
            Secret::Derived(pair) => pair.public_key().0,
            Secret::Plain(pair) => pair.public.to_bytes(),
        })
    }

    /// Signs in the context `substrate`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        match &self.0 {
            Secret::Derived(pair) => pair.sign(message).0,
            Secret::Plain(pair) => pair.sign(signing_context(b"substrate").bytes(message)).to_bytes(),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.account())
    }
}

/// Text or bytes that are no key. It does not repeat them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not a secret URI.
    #[error("key is neither a mnemonic of 12 to 24 words nor a 0x seed, with or without //derivation")]
    Uri,
    /// No form of a key.
    #[error(
        "key is neither a mnemonic of 12 to 24 words nor a 0x seed, with or without //derivation, nor a secret key of 128 hex \
         digits"
    )]
    Text,
    /// Not an expanded secret key.
    #[error("key is not an sr25519 secret of 64 bytes (128 hex digits)")]
    SecretKey,
}

/// Who signs for a pool.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Signs and pays.
    pub signer: Signer,
    /// The account it acts for as a proxy, none if it acts for itself.
    pub proxied: Option<AccountId>,
}

impl Operator {
    /// An operator that acts for itself.
    pub fn new(signer: Signer) -> Self {
        Self { signer, proxied: None }
    }

    /// An operator that acts for `real`.
    pub fn proxy(signer: Signer, real: AccountId) -> Self {
        Self { signer, proxied: Some(real) }
    }

    /// The account that owns the pool and that workers register as their operator.
    pub fn acts_as(&self) -> AccountId {
        self.proxied.unwrap_or_else(|| self.signer.account())
    }
}

/// The operators of all pools. Clones share it; it may change at any time.
#[derive(Clone, Debug, Default)]
pub struct Operators(Arc<RwLock<BTreeMap<PoolId, Operator>>>);

impl Operators {
    /// Sets the operator of a pool; the answer is the one before.
    pub fn set(&self, pool: PoolId, operator: Operator) -> Option<Operator> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(pool, operator)
    }

    /// Takes the operator of a pool away.
    pub fn remove(&self, pool: PoolId) -> Option<Operator> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&pool)
    }

    /// The operator of a pool.
    pub fn get(&self, pool: PoolId) -> Option<Operator> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&pool).cloned()
    }

    /// All pools that have one.
    pub fn pools(&self) -> Vec<PoolId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

impl FromIterator<(PoolId, Operator)> for Operators {
    fn from_iter<I: IntoIterator<Item = (PoolId, Operator)>>(operators: I) -> Self {
        Self(Arc::new(RwLock::new(operators.into_iter().collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `//Alice` of Substrate's development phrase.
    const ALICE: &str = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    fn verifies(signer: &Signer) -> bool {
        let signature = schnorrkel::Signature::from_bytes(&signer.sign(b"hello")).unwrap();
        let public = schnorrkel::PublicKey::from_bytes(&signer.account().0).unwrap();
        public.verify_simple(b"substrate", b"hello", &signature).is_ok()
    }

    #[test]
    fn every_form_of_a_key_gives_the_same_account() {
        let seed = hex::decode("e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a").unwrap();
        let seed: [u8; 32] = seed.try_into().unwrap();
        let expanded = MiniSecretKey::from_bytes(&seed).unwrap().expand(ExpansionMode::Ed25519);
        let forms = [
            Signer::from_uri("//Alice").unwrap(),
            Signer::from_uri("bottom drive obey lake curtain smoke basket hold race lonely fit walk//Alice")
                .unwrap(),
            Signer::from_uri(&format!("0x{}", hex::encode(seed))).unwrap(),
            Signer::from_seed(&seed).unwrap(),
            Signer::from_secret_key(&expanded.to_bytes()).unwrap(),
            Signer::from_secret_key_hex(&hex::encode(expanded.to_ed25519_bytes())).unwrap(),
            Signer::from_text("//Alice").unwrap(),
            Signer::from_text(&format!(" 0x{}\n", hex::encode(seed))).unwrap(),
            Signer::from_text(&hex::encode(expanded.to_bytes())).unwrap(),
            Signer::from_text(&format!("0x{}", hex::encode(expanded.to_ed25519_bytes()))).unwrap(),
        ];
        for signer in forms {
            assert_eq!(signer.account().to_string(), ALICE);
            assert!(verifies(&signer));
        }
    }

    #[test]
    fn bad_keys_are_refused_without_repeating_them() {
        for text in ["twelve words that are not a phrase", "0x12", "", "///password"] {
            assert_eq!(Signer::from_text(text).unwrap_err(), BadKey::Text);
            let error = Signer::from_uri(text).unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
        assert_eq!(Signer::from_secret_key_hex("00ff").unwrap_err(), BadKey::SecretKey);
    }

    #[test]
    fn debug_output_shows_accounts_only() {
        let operators: Operators =
            [(PoolId(1), Operator::new(Signer::from_uri("//Alice").unwrap()))].into_iter().collect();
        let text = format!("{operators:?}");
        assert!(text.contains(ALICE));
        assert!(!text.contains("e5be9a50") && !text.to_lowercase().contains("secret"));
    }
}
