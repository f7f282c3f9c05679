//! What a provider says of itself to people.

use super::{
    RemoteOptions,
    client::{Address, BadAddress, Client},
    hedge::Pulse,
};
use hyper::StatusCode;
use prb_core::wire;
use serde_json::Value;

/// Largest answer: a few hundred nodes with what is wrong with them.
const MAX_INFO: usize = 1 << 20;

/// Whom nobody need ask.
const NO_RUN: &str = "only data providers are asked, and `prb run` and `prb lifecycle` are none (their log tells how far they are)";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// Nobody can be there.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// Nobody answers.
    #[error("{url}: {cause}; {NO_RUN}: start `prb data-provider`, or name the address of one that runs")]
    Unreachable {
        /// Who was asked.
        url: String,
        /// Why not.
        cause: String,
    },
    /// It wants its token.
    #[error("{url}: it wants its token; name the file that holds it with --token-file")]
    Token {
        /// Who was asked.
        url: String,
    },
    /// Something else answers there.
    #[error("{url}: {cause}; it is no data provider of prb; {NO_RUN}")]
    Other {
        /// Who was asked.
        url: String,
        /// What it answers.
        cause: String,
    },
}

/// What the provider at `url` answers at [`wire::INFO`].
pub async fn info(url: &str, options: &RemoteOptions) -> Result<Value, InfoError> {
    let address = Address::parse(url)?;
    let (url, tls) = (address.url(), address.tls(options)?);
    let client = Client::new(address, tls, options.clone());
    let reply = match client.ask(wire::INFO, MAX_INFO, &Pulse::new()).await {
        Ok(reply) => reply,
        Err(cause) => return Err(InfoError::Unreachable { url, cause }),
    };
    match reply.status {
        StatusCode::OK => serde_json::from_slice(&reply.body)
            .map_err(|error| InfoError::Other { url, cause: format!("its answer is no JSON: {error}") }),
        StatusCode::UNAUTHORIZED => Err(InfoError::Token { url }),
        status => Err(InfoError::Other { url, cause: format!("it answers {status} to {}", wire::INFO) }),
    }
}
