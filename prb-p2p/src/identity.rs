//! Who a node is: the key pair that its peer id follows from.

use crate::private;
use libp2p::{
    PeerId,
    identity::{KeyType, Keypair},
};
use prost::Message as _;
use std::{
    fmt, io,
    path::{Path, PathBuf},
};
use zeroize::{Zeroize as _, Zeroizing};

/// A node's key pair.
///
/// A file of it is what PRB v2 keeps in `PHALA_PEER_ID_PREFIX`: protobuf of the id, the public and the private key,
/// the keys as libp2p writes them. Those of v2 are RSA and have ids that begin with `Qm`; ours are ed25519.
#[derive(Clone)]
pub struct Identity(Keypair);

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Its file cannot be read or written.
    #[error("cannot use the peer identity {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Its file holds something else.
    #[error(
        "{} holds no peer identity ({reason}); restore it from a backup, or remove it to get another identity",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Identity {
    /// Another one each time.
    pub fn random() -> Self {
        Self(Keypair::generate_ed25519())
    }

    /// The one in this file. Neither makes nor mends it; that others may read it is told in the log.
    pub fn read(path: &Path) -> Result<Self, IdentityError> {
        let bytes =
            private::read(path).map_err(|cause| IdentityError::Io { path: path.to_owned(), cause })?;
        Self::decode(&bytes).map_err(|reason| IdentityError::Malformed { path: path.to_owned(), reason })
    }

    /// The one in this file, which is made if it is not there. One that was made here and that others may read is closed to
    /// them; those of PRB v2 are left as they are.
    pub fn open_or_create(path: &Path) -> Result<Self, IdentityError> {
        let io = |cause| IdentityError::Io { path: path.to_owned(), cause };
        let malformed = |reason| IdentityError::Malformed { path: path.to_owned(), reason };
        match private::read_and_mend(path, Self::is_ours) {
            Ok(bytes) => return Self::decode(&bytes).map_err(malformed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
        let made = Self::random();
        match private::create(path, &made.encode().map_err(malformed)?) {
            Ok(()) => Ok(made),
            // Somebody else made one meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(io(error)),
        }
    }

    /// What peers know it by.
    pub fn peer_id(&self) -> PeerId {
        self.0.public().to_peer_id()
    }

    pub(crate) fn keypair(&self) -> &Keypair {
        &self.0
    }

    /// Whether this program made such a file: those of v2 are RSA.
    fn is_ours(bytes: &[u8]) -> bool {
        Self::decode(bytes).is_ok_and(|identity| identity.0.key_type() == KeyType::Ed25519)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut stored = Stored::decode(bytes).map_err(|error| error.to_string())?;
        let pair = Keypair::from_protobuf_encoding(&stored.private_key);
        stored.private_key.zeroize();
        let identity = Self(pair.map_err(|error| error.to_string())?);
        if !stored.id.is_empty() && stored.id != identity.peer_id().to_bytes() {
            return Err("its key is of another peer than it says".into());
        }
        Ok(identity)
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let mut stored = Stored {
            id: self.peer_id().to_bytes(),
            public_key: self.0.public().encode_protobuf(),
            private_key: self.0.to_protobuf_encoding().map_err(|error| error.to_string())?,
        };
        let bytes = Zeroizing::new(stored.encode_to_vec());
        stored.private_key.zeroize();
        Ok(bytes)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Identity").field(&self.peer_id()).finish()
    }
}

/// The layout of v2's file.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct Stored {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    private_key: Vec<u8>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Stored")
    }
}

#[cfg(test)]
mod tests;
