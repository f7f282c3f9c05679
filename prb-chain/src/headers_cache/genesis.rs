//! The genesis of a network, as far as a headers-cache has it.

use super::cache::Cache;
use crate::node_source::{genesis::check_start, start_point_of};
use codec::{DecodeAll, Encode};
use prb_core::{
    Bytes,
    id::Height,
    port::{Genesis, SourceError},
    span::Span,
    types::{header::Header, sync::StorageChanges},
};

impl Cache {
    /// The genesis of a network that is built in; none where the cache lacks part of it.
    pub(super) async fn genesis(&self) -> Result<Option<Genesis>, SourceError> {
        let Some(relay) = self.genesis_record().await? else { return Ok(None) };
        let Some(point) = start_point_of(relay.block_header.hash()) else { return Ok(None) };
        let zero = Span::one(Height(0));
        let headers = self.headers(zero).await?.and_then(|headers| headers.into_iter().next());
        let changes = self.changes(zero).await?.and_then(|changes| changes.into_iter().next());
        let (Some(header), Some(changes)) = (headers, changes) else { return Ok(None) };
        let para_header = Header::decode_all(&mut header.as_ref())
            .map_err(|error| self.http.bad("parachain header 0", error))?;
        check_start(self.endpoint(), point.relay_chain, point.para_id, &relay)?;
        Ok(Some(Genesis {
            relay_chain: point.relay_chain,
            relay,
            para_header,
            para_state: first_state(&changes).map_err(|cause| self.http.bad("first state", cause))?,
            para_id: point.para_id,
            parachain: true,
        }))
    }
}

/// SCALE `StorageState`: all pairs of the first state, which are the changes of block 0.
fn first_state(changes: &[u8]) -> Result<Bytes, String> {
    let changes = StorageChanges::decode_all(&mut &*changes).map_err(|error| error.to_string())?;
    if !changes.child_storage_changes.is_empty() {
        return Err("it has child tries".to_owned());
    }
    let pairs = changes.main_storage_changes.into_iter().map(|(key, value)| value.map(|value| (key, value)));
    let mut pairs: Vec<_> = pairs.collect::<Option<_>>().ok_or("it deletes keys")?;
    pairs.sort_unstable();
    Ok(pairs.encode().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_core::types::sync::StorageState;

    #[test]
    fn the_changes_of_block_0_are_the_first_state() {
        let main = |main| StorageChanges { main_storage_changes: main, ..StorageChanges::default() }.encode();
        let state = first_state(&main(vec![(vec![2], Some(vec![])), (vec![1], Some(vec![7]))])).unwrap();
        let pairs = StorageState::decode_all(&mut state.as_ref()).unwrap();
        assert_eq!(pairs, [(vec![1], vec![7]), (vec![2], vec![])]);
        assert!(first_state(&main(vec![(vec![1], None)])).is_err());
        assert!(first_state(&[1]).is_err());
    }
}
