//! PRB v3's file of data sources (`ds.yml`): which nodes and headers-cache servers it names.

use serde::Deserialize;
use std::{fs, io::Read, path::Path};

/// Largest file, bytes.
const MAX_FILE: u64 = 1 << 20;

/// What the file names, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DataSources {
    pub(super) relay: Vec<String>,
    pub(super) para: Vec<String>,
    /// The first one; others are not asked here.
    pub(super) headers_cache: Option<String>,
}

#[derive(Deserialize)]
struct File {
    relaychain: Side,
    parachain: Side,
}

#[derive(Deserialize)]
struct Side {
    data_sources: Vec<Entry>,
}

/// `!SubstrateWebSocketSource` or `!HeadersCacheHttpSource`: the scheme of the address tells the same.
#[derive(Deserialize)]
struct Entry {
    endpoint: String,
}

impl DataSources {
    pub(super) fn in_file(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(|cause| format!("{}: {cause}", path.display()))?;
        Self::parse(&text).map_err(|cause| format!("{}: {cause}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_saphyr::from_str(text)
            .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?;
        let (mut relay, cache) = file.relaychain.parts();
        let (mut para, other_cache) = file.parachain.parts();
        // v3 takes an address that stands there twice for one.
        for nodes in [&mut relay, &mut para] {
            let mut seen = std::collections::BTreeSet::new();
            nodes.retain(|node| seen.insert(node.clone()));
        }
        Ok(Self { relay, para, headers_cache: cache.or(other_cache) })
    }
}

impl Side {
    /// Nodes, and the first headers-cache.
    fn parts(self) -> (Vec<String>, Option<String>) {
        let endpoints =
            self.data_sources.into_iter().map(|entry| entry.endpoint.trim_end_matches('/').to_owned());
        let (caches, nodes): (Vec<_>, Vec<_>) = endpoints.partition(|endpoint| endpoint.starts_with("http"));
        (nodes, caches.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
relaychain:
  select_policy: Failover
  data_sources:
    - !HeadersCacheHttpSource
      endpoint: http://cache:21111
    - !SubstrateWebSocketSource
      endpoint: ws://node:9945
      pruned: false
      max_concurrent_requests: 1024
    - !SubstrateWebSocketSource
      endpoint: ws://node:9945
      pruned: true
parachain:
  select_policy: Random
  data_sources:
    - !SubstrateWebSocketSource
      endpoint: ws://node:9944/
      pruned: false
    - !SubstrateWebSocketSource
      endpoint: wss://other
      pruned: false
";

    #[test]
    fn v3_f47_the_data_sources_of_v3_are_read_in_their_order() {
        let found = DataSources::parse(TEXT).unwrap();
        assert_eq!(found.relay, ["ws://node:9945"]);
        assert_eq!(found.para, ["ws://node:9944", "wss://other"]);
        assert_eq!(found.headers_cache.as_deref(), Some("http://cache:21111"));
    }

    #[test]
    fn what_is_no_file_of_data_sources_is_refused_with_its_name() {
        assert!(DataSources::parse("relaychain: {}\n").is_err());
        let error = DataSources::in_file(Path::new("no such folder/ds.yml")).unwrap_err();
        assert!(error.contains("no such folder/ds.yml"), "{error}");
    }
}
