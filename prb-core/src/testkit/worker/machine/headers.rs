//! Headers: links, justifications under the tracked set, heads proven under the relay root.

use super::{Broke, Machine, decode, refused};
use crate::{
    id::Height,
    port::worker::{HeadersRequest, ParaHeadersRequest, Refusal},
    storage_key,
    testkit::toy,
    types::{
        grandpa::{AuthoritySet, AuthoritySetChange},
        header::Header,
    },
};
use codec::Encode;

impl Machine {
    pub(in super::super) fn sync_headers(
        &mut self,
        request: &HeadersRequest,
    ) -> Result<Option<Height>, Broke> {
        self.can_load = false;
        self.initialized()?;
        let mut headers = request.headers.iter().map(|bytes| decode(bytes)).collect::<Result<Vec<_>, _>>()?;
        headers.retain(|header: &Header| header.height() >= self.header);
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Ok(self.header.prev());
        };
        if first.height() != self.header {
            return refused("BlockNumberMismatch", Refusal::OutOfStep);
        }
        let invalid = |why: &str| refused(format!("HeaderValidateFailed({why})"), Refusal::BadData);
        if headers.windows(2).any(|pair| pair[0].hash() != pair[1].parent_hash) {
            return refused("HeaderHashMismatch", Refusal::BadData);
        }
        // A standalone worker takes a leading copy of the genesis header.
        let attached =
            first.parent_hash == self.last.hash || (!self.parachain && first.hash() == self.last.hash);
        if !attached {
            return invalid("invalid ancestry proof");
        }
        let target = last.block_ref();
        if let Err(why) = toy::check_justification(&self.set, target, &request.justification) {
            return invalid(&format!("bad justification for header: {why}"));
        }
        let next = match last.scheduled_change() {
            Some(change) if change.delay != 0 => return invalid("scheduled change should not have delay"),
            Some(change) => Some(AuthoritySet { list: change.next_authorities, id: self.set.id + 1 }),
            None => None,
        };
        if self.is_old() && next.is_some() {
            let Some(change) = &request.set_change else { return invalid("validator set mismatch") };
            let change: AuthoritySetChange = decode(change)?;
            let key = storage_key::grandpa_authorities();
            let proven = toy::read_proof(last.state_root, &change.authority_proof, &key);
            if proven != Ok(Some(change.authority_set.list.encode())) {
                return invalid("storage value unavailable");
            }
            if Some(&change.authority_set) != next.as_ref() {
                return invalid("unexpected validator set id");
            }
        }
        let (root, end) = (last.state_root, last.height());
        if self.parachain {
            self.relay_root = Some(root);
        } else {
            let after = self.block.prev().unwrap_or_default();
            self.roots.extend(headers.iter().filter(|h| h.height() >= after).map(|header| header.state_root));
        }
        self.set = next.unwrap_or_else(|| self.set.clone());
        (self.last, self.header) = (target, end.next());
        Ok(Some(end))
    }

    pub(in super::super) fn sync_para_headers(
        &mut self,
        request: &ParaHeadersRequest,
    ) -> Result<Option<Height>, Broke> {
        self.initialized()?;
        if !self.parachain {
            return refused("ChainModeMismatch", Refusal::BadData);
        }
        let mut headers = request.headers.iter().map(|bytes| decode(bytes)).collect::<Result<Vec<_>, _>>()?;
        headers.retain(|header: &Header| header.height() >= self.para);
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Ok(self.para.prev());
        };
        if first.height() != self.para {
            return refused("BlockNumberMismatch", Refusal::OutOfStep);
        }
        let Some(root) = self.relay_root else {
            return refused("RelaychainHeaderNotSynced", Refusal::OutOfStep);
        };
        let unproven = |why: &str| refused(format!("StorageProofFailed({why})"), Refusal::BadData);
        match toy::read_proof(root, &request.proof, &storage_key::para_head(self.para_id)) {
            Ok(Some(head)) if head == last.encode().encode() => {}
            Ok(Some(_)) => return unproven("storage value mismatch"),
            Ok(None) => return unproven("storage value unavailable"),
            Err(why) => return unproven(why),
        }
        if headers.windows(2).any(|pair| pair[0].hash() != pair[1].parent_hash) {
            return refused("HeaderHashMismatch", Refusal::BadData);
        }
        let end = last.height();
        self.roots.extend(headers.iter().map(|header| header.state_root));
        (self.relay_root, self.para) = (None, end.next());
        Ok(Some(end))
    }
}
