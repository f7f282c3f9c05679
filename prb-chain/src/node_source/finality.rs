//! Finality proofs, read without trusting their size or shape.

use codec::{Compact, Decode, Error};
use prb_core::{
    Bytes,
    id::{BlockRef, Hash, Height},
    types::header::Header,
};

/// Largest header that is decoded. One that announces 1,000 authorities takes 40 KB; decoded, a header of one-byte
/// digest items takes 32 times its encoding.
const MAX_HEADER: usize = 1 << 20;

/// A justification with headers that lead to its block.
///
/// Layout ([`FinalityProof`](prb_core::types::grandpa::FinalityProof)): hash of the justified block ‖ justification
/// (compact length ‖ bytes) ‖ headers (compact count ‖ each). The headers are cut out of the answer one by one and
/// share its memory.
pub(super) struct Proof {
    pub(super) justification: Bytes,
    headers: Bytes,
    left: u32,
}

impl Proof {
    /// Reads an answer of `grandpa_proveFinality` up to its headers.
    pub(super) fn read(answer: &Bytes) -> Result<Self, Error> {
        let mut rest = &answer[..];
        Hash::decode(&mut rest)?;
        let len = Compact::<u32>::decode(&mut rest)?.0 as usize;
        let at = answer.len() - rest.len();
        let justification = at..at.saturating_add(len);
        rest = answer.get(justification.end..).ok_or("the justification is cut short")?;
        let left = Compact::<u32>::decode(&mut rest)?.0;
        let headers = answer.slice(answer.len() - rest.len()..);
        Ok(Self { justification: answer.slice(justification), headers, left })
    }

    /// A justification alone.
    pub(super) fn alone(justification: Bytes) -> Self {
        Self { justification, headers: Bytes::new(), left: 0 }
    }

    /// The block that the justification commits to, which begins: round u64 ‖ target hash ‖ target number u32.
    pub(super) fn target(&self) -> Result<BlockRef, Error> {
        let (_, hash, number) = <(u64, Hash, u32)>::decode(&mut self.justification.as_ref())?;
        Ok(BlockRef { height: Height(number), hash })
    }

    /// The next header with its bytes, none after the last.
    pub(super) fn next_header(&mut self) -> Result<Option<(Header, Bytes)>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut rest = &self.headers[..self.headers.len().min(MAX_HEADER)];
        let before = rest.len();
        let header = Header::decode(&mut rest)?;
        let bytes = self.headers.split_to(before - rest.len());
        Ok(Some((header, bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::Encode;
    use prb_core::types::{
        grandpa::{Commit, FinalityProof, Justification},
        header::DigestItem,
    };

    fn proof(headers: Vec<Header>) -> Bytes {
        let commit = Commit { target_hash: Hash([7; 32]), target_number: 12, precommits: vec![] };
        let justification = Justification { round: 3, commit, votes_ancestries: vec![] }.encode();
        FinalityProof { block: Hash([7; 32]), justification, unknown_headers: headers }.encode().into()
    }

    #[test]
    fn a_proof_is_taken_apart_as_it_was_put_together() {
        let headers = [Header::numbered(Height(11)), Header::numbered(Height(12))];
        let mut read = Proof::read(&proof(headers.to_vec())).unwrap();
        assert_eq!(read.target().unwrap(), BlockRef { height: Height(12), hash: Hash([7; 32]) });
        for header in headers {
            let bytes = Bytes::from(header.encode());
            assert_eq!(read.next_header().unwrap(), Some((header, bytes)));
        }
        assert_eq!(read.next_header().unwrap(), None);
    }

    #[test]
    fn a_proof_cut_anywhere_is_an_error() {
        let whole = proof(vec![Header::numbered(Height(11))]);
        for len in 0..whole.len() {
            let read = Proof::read(&whole.slice(..len)).and_then(|mut proof| proof.next_header());
            assert!(read.is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_header_that_swells_when_decoded_is_refused_early() {
        let digest = vec![DigestItem::RuntimeEnvironmentUpdated; MAX_HEADER];
        let mut read = Proof::read(&proof(vec![Header { digest, ..Header::numbered(Height(11)) }])).unwrap();
        assert!(read.next_header().is_err());
    }

    #[test]
    fn a_list_that_claims_more_headers_than_it_has_is_an_error() {
        let mut claims = proof(vec![]).to_vec();
        claims.pop();
        claims.extend(Compact(u32::MAX).encode());
        assert!(Proof::read(&claims.into()).unwrap().next_header().is_err());
    }
}
