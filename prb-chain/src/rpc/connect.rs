//! How a connection to a node comes about.

use super::RpcOptions;
use async_trait::async_trait;
use jsonrpsee::{core::client::async_client::PingConfig, ws_client::WsClientBuilder};
use prb_core::fault::described;
use std::time::Duration;
use subxt_rpcs::RpcClient;

/// Notifications that may wait to be read before the transport gives a subscription up. A block's storage changes come
/// one by one, and faster than a busy machine may get round to reading them.
const NOTIFICATIONS_BEHIND: usize = 16_384;

/// Makes connections to one node.
#[async_trait]
pub trait Connect: Send + Sync {
    /// A new connection, or in words why there is none (without credentials).
    async fn connect(&self) -> Result<RpcClient, String>;
}

/// Connections over websockets.
pub struct WsConnect {
    url: String,
    builder: WsClientBuilder,
}

impl WsConnect {
    /// To the node at `url` (`ws://` or `wss://`).
    pub fn new(url: &str, options: &RpcOptions) -> Self {
        let ping = PingConfig::new()
            .ping_interval(Duration::from_secs(15))
            .inactive_limit(Duration::from_secs(45))
            .max_failures(1);
        let builder = WsClientBuilder::new()
            .max_response_size(options.max_reply)
            .max_frame_size(options.max_reply)
            .connection_timeout(options.connect_timeout)
            // Each call has its own, shorter deadline.
            .request_timeout(options.long_answer_timeout + options.answer_timeout)
            .max_concurrent_requests(options.in_flight.max(1) * 2)
            .max_buffer_capacity_per_subscription(NOTIFICATIONS_BEHIND)
            .enable_ws_ping(ping);
        Self { url: url.to_owned(), builder }
    }
}

#[async_trait]
impl Connect for WsConnect {
    async fn connect(&self) -> Result<RpcClient, String> {
        match self.builder.clone().build(&self.url).await {
            Ok(client) => Ok(RpcClient::new(client)),
            Err(error) => {
                // The transport may repeat the address with what is secret in it.
                let words =
                    described(&error).replace(&self.url, &super::error::without_credentials(&self.url));
                Err(format!("{words}{}", remedy(&self.url, &words)))
            }
        }
    }
}

/// What the words of a transport that does not connect mean for its address, where that is known. The words are those of
/// `jsonrpsee`, `soketto` and `rustls`.
fn remedy(url: &str, words: &str) -> &'static str {
    let words = words.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|text| words.contains(text));
    if says(&["status code", "status_code"]) {
        return "; it speaks HTTP and has no websocket, so it is no node: data providers belong in chain.mirror or \
                providers.urls, a node is named by its RPC port like ws://host:9944";
    }
    let no_tls = ["invalidcontenttype", "corrupt message", "handshake eof"];
    if url.starts_with("wss://") && says(&no_tls) {
        return "; it speaks no TLS: write ws://";
    }
    if url.starts_with("ws://")
        && says(&["http parse", "httparse", "invalid http", "invalid byte", "invalid token"])
    {
        return "; what it answers is no HTTP: if it speaks TLS, write wss://";
    }
    ""
}

#[async_trait]
impl<F, E> Connect for F
where
    F: Fn() -> Result<RpcClient, E> + Send + Sync,
    E: std::fmt::Display,
{
    async fn connect(&self) -> Result<RpcClient, String> {
        self().map_err(|error| error.to_string())
    }
}
