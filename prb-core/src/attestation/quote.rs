//! The platform's certificate inside a DCAP quote (Intel, `sgx_quote_3.h`).
//!
//! Header 48 ‖ report body 384 ‖ length of the rest u32 ‖ signature 64 ‖ key 64 ‖ report of the quoting enclave 384 ‖
//! its signature 64 ‖ its data (u16 length) ‖ kind of certification u16 ‖ length u32 ‖ certification data. Integers are
//! little-endian.

use super::{PckCa, PlatformKind};

/// Why the platform of a quote is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuote {
    /// It ends early.
    #[error("the worker's quote ends before its {0}")]
    Short(&'static str),
    /// Another version.
    #[error("the worker's quote has version {0}, the chain takes version 3")]
    Version(u16),
    /// It has no certificate.
    #[error(
        "the worker's quote carries certification data of kind {0} and not its platform's certificate (kind 5); let its \
         attestation service fetch that"
    )]
    NoCertificate(u16),
    /// The certificate is none.
    #[error("the certificate in the worker's quote is not PEM")]
    NotPem,
    /// The certificate is another one.
    #[error("the certificate in the worker's quote is not an SGX platform's: it has no {0}")]
    Foreign(&'static str),
}

/// Where the length of the rest stands.
const SIGNED: usize = 48 + 384;

/// Signature, key, report of the quoting enclave, its signature.
const FIXED: usize = 64 + 64 + 384 + 64;

/// Certification data that is a PEM chain, the platform's certificate first.
const PCK_CHAIN: u16 = 5;

/// `1.2.840.113741.1.13.1.4` (FMSPC) as DER, followed by the head of an octet string of six bytes.
const FMSPC: [u8; 14] = [6, 10, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 1, 0x0d, 1, 4, 4, 6];

pub(super) fn platform_kind(quote: &[u8]) -> Result<PlatformKind, BadQuote> {
    let mut rest = quote;
    let version = u16::from_le_bytes(take(&mut rest, "version")?);
    if version != 3 {
        return Err(BadQuote::Version(version));
    }
    skip(&mut rest, SIGNED - 2 + 4 + FIXED, "signature")?;
    let data = u16::from_le_bytes(take(&mut rest, "enclave data")?);
    skip(&mut rest, data.into(), "enclave data")?;
    let kind = u16::from_le_bytes(take(&mut rest, "certification data")?);
    if kind != PCK_CHAIN {
        return Err(BadQuote::NoCertificate(kind));
    }
    let size = u32::from_le_bytes(take(&mut rest, "certification data")?) as usize;
    let chain = rest.get(..size).ok_or(BadQuote::Short("certification data"))?;
    let certificate = first_certificate(chain).ok_or(BadQuote::NotPem)?;
    Ok(PlatformKind { fmspc: fmspc(&certificate)?, ca: ca(&certificate)? })
}

fn take<const N: usize>(rest: &mut &[u8], what: &'static str) -> Result<[u8; N], BadQuote> {
    let (taken, left) = rest.split_first_chunk().ok_or(BadQuote::Short(what))?;
    *rest = left;
    Ok(*taken)
}

fn skip(rest: &mut &[u8], count: usize, what: &'static str) -> Result<(), BadQuote> {
    *rest = rest.get(count..).ok_or(BadQuote::Short(what))?;
    Ok(())
}

fn fmspc(certificate: &[u8]) -> Result<[u8; 6], BadQuote> {
    let at = find(certificate, &FMSPC).ok_or(BadQuote::Foreign("FMSPC"))?;
    certificate[at + FMSPC.len()..].first_chunk().copied().ok_or(BadQuote::Foreign("FMSPC"))
}

/// By the name of the certificate's issuer, which is in it as it is.
fn ca(certificate: &[u8]) -> Result<PckCa, BadQuote> {
    let by = |issuer: &[u8]| find(certificate, issuer).is_some();
    if by(b"Intel SGX PCK Platform CA") {
        Ok(PckCa::Platform)
    } else if by(b"Intel SGX PCK Processor CA") {
        Ok(PckCa::Processor)
    } else {
        Err(BadQuote::Foreign("issuer of SGX platforms"))
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// The DER of the first certificate of a PEM chain.
fn first_certificate(chain: &[u8]) -> Option<Vec<u8>> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    const END: &[u8] = b"-----END CERTIFICATE-----";
    let body = &chain[find(chain, BEGIN)? + BEGIN.len()..];
    base64(&body[..find(body, END)?])
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0u32, 0);
    for &digit in text.iter().filter(|digit| !digit.is_ascii_whitespace() && **digit != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
    }
    Some(out)
}
