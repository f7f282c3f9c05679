//! Where blocks come from, as the configuration says.

use crate::{
    config::{Chain, ConfigError},
    token::text_in,
};
use prb_chain::{
    HttpOptions,
    headers_cache::HeadersCacheSource,
    mirror::MirrorSource,
    node_source::{NodeSource, SourceOptions},
};
use prb_core::fault::unusable;
use prb_core::port::BlockSource;
use std::sync::Arc;

/// The source of `chain`: another data provider, nodes, or nodes with a headers-cache in front. Nothing is asked yet.
pub(crate) fn block_source(chain: &Chain) -> Result<Arc<dyn BlockSource>, ConfigError> {
    if let Some(url) = &chain.mirror {
        return Ok(Arc::new(mirror(chain, url)?));
    }
    if !chain.parachain {
        return Ok(Arc::new(NodeSource::solo_at(chain.para.all(), SourceOptions::default())));
    }
    let nodes = NodeSource::at(chain.relay.all(), chain.para.all(), SourceOptions::default());
    match &chain.headers_cache {
        Some(url) => Ok(Arc::new(headers_cache(url)?.with_nodes(nodes))),
        None => Ok(Arc::new(nodes)),
    }
}

/// The data provider at `url`.
pub(crate) fn mirror(chain: &Chain, url: &str) -> Result<MirrorSource, ConfigError> {
    let mut http = HttpOptions::default();
    if let Some(path) = &chain.mirror_token_file {
        let invalid = |cause: String| ConfigError::Invalid { key: "chain.mirror_token_file", cause };
        let token = text_in(path).map_err(|cause| invalid(unusable("read", path, &cause)))?;
        http = http.with_token(&token).map_err(|cause| invalid(cause.to_string()))?;
    }
    let mirror = MirrorSource::new(url, http, SourceOptions::default().tip_patience);
    mirror.map_err(|bad| ConfigError::Invalid { key: "chain.mirror", cause: bad.to_string() })
}

/// The headers-cache at `url`, without nodes beside it.
pub(crate) fn headers_cache(url: &str) -> Result<HeadersCacheSource, ConfigError> {
    let patience = SourceOptions::default().tip_patience;
    let cache = HeadersCacheSource::new(url, HttpOptions::default(), patience);
    cache.map_err(|bad| ConfigError::Invalid { key: "chain.headers_cache", cause: bad.to_string() })
}
