//! What a PCCS answers, as the chain takes it. Signatures are checked by the chain, so texts stay as they were signed.

use super::http::Answer;
use prb_core::types::attestation::SgxV30QuoteCollateral;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Header of the chain that signs the PCK CRL.
const CRL_CHAIN: &[&str] = &["SGX-PCK-CRL-Issuer-Chain"];
/// Header of the chain that signs TCB infos, by API version 3 and 4.
const TCB_CHAIN: &[&str] = &["SGX-TCB-Info-Issuer-Chain", "TCB-Info-Issuer-Chain"];
/// Header of the chain that signs identities of quoting enclaves.
const IDENTITY_CHAIN: &[&str] = &["SGX-Enclave-Identity-Issuer-Chain"];

pub(super) fn collateral(
    crl: &Answer,
    root: &Answer,
    tcb: &Answer,
    identity: &Answer,
) -> Result<SgxV30QuoteCollateral, String> {
    let (tcb_info, tcb_info_signature) = signed(tcb, "tcbInfo")?;
    let (qe_identity, qe_identity_signature) = signed(identity, "enclaveIdentity")?;
    Ok(SgxV30QuoteCollateral {
        pck_crl_issuer_chain: chain(crl, CRL_CHAIN)?,
        root_ca_crl: revocations(root, "root CA CRL")?,
        pck_crl: revocations(crl, "PCK CRL")?,
        tcb_info_issuer_chain: chain(tcb, TCB_CHAIN)?,
        tcb_info,
        tcb_info_signature,
        qe_identity_issuer_chain: chain(identity, IDENTITY_CHAIN)?,
        qe_identity,
        qe_identity_signature,
    })
}

/// A list of revoked certificates: PCCS answer DER as hex, or PEM; DER itself becomes hex.
fn revocations(answer: &Answer, what: &str) -> Result<String, String> {
    match std::str::from_utf8(&answer.body).map(str::trim) {
        Ok("") => Err(format!("an empty {what}")),
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Ok(hex::encode(&answer.body)),
    }
}

/// The PEM chain in a header, which is percent-encoded there.
fn chain(answer: &Answer, names: &[&str]) -> Result<String, String> {
    let value = names.iter().find_map(|name| answer.headers.get(*name));
    let value = value.ok_or_else(|| format!("no header {}", names[0]))?;
    decoded(value.as_bytes()).ok_or_else(|| format!("a header {} that is not percent-encoded text", names[0]))
}

/// The signed text under `name`, byte by byte, and the signature over it.
fn signed(answer: &Answer, name: &str) -> Result<(String, Vec<u8>), String> {
    let bad = |cause: String| format!("a {name} that cannot be used: {cause}");
    let fields: HashMap<String, &RawValue> =
        serde_json::from_slice(&answer.body).map_err(|error| bad(error.to_string()))?;
    let field = |name: &str| fields.get(name).ok_or_else(|| bad(format!("no {name:?}")));
    let signature: String =
        serde_json::from_str(field("signature")?.get()).map_err(|error| bad(error.to_string()))?;
    let signature = hex::decode(signature).map_err(|error| bad(format!("signature: {error}")))?;
    Ok((field(name)?.get().to_owned(), signature))
}

fn decoded(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let mut byte = [0];
            hex::decode_to_slice(tail.get(..2)?, &mut byte).ok()?;
            out.push(byte[0]);
            rest = &tail[2..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    String::from_utf8(out).ok()
}
