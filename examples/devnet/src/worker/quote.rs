//! DCAP quotes in the layout of real ones (Intel, `sgx_quote_3.h`), signed with the worker's key.
//!
//! Header 48, report body 384, length of the rest u32, signature 64, key 64, report of the quoting enclave 384,
//! its signature 64, authentication data (u16 length), kind of certification u16, length u32, certificates.
//! What a registration is about is where it is in a real one, at the end of the report body. The signature is
//! sr25519 over its 32 bytes. The measurement, of any length, is in the authentication data.

use base64::{Engine, engine::general_purpose::STANDARD};

const VERSION: u16 = 3;
const ECDSA_P256: u16 = 2;
/// Certification data: the platform's certificate and those above it, as PEM.
const PCK_CHAIN: u16 = 5;
const HEADER: usize = 48;
const BODY: usize = 384;
/// Key, report of the quoting enclave and its signature.
const QUOTING: usize = 64 + 384 + 64;
/// Where the program's own data is in the report body.
const REPORT_DATA: usize = 320;
/// Family and model that the dev network's platforms claim, and the name of who certified them.
const FMSPC: [u8; 6] = [0x00, 0x90, 0x6e, 0xa1, 0x00, 0x00];
const ISSUER: &str = "Intel SGX PCK Processor CA";

/// A quote about `digest`.
pub(crate) fn quote(digest: &[u8; 32], signature: &[u8], measurement: &[u8]) -> Vec<u8> {
    let mut rest = signature.to_vec();
    rest.resize(rest.len() + QUOTING, 0);
    rest.extend(u16::try_from(measurement.len()).unwrap_or(u16::MAX).to_le_bytes());
    rest.extend(measurement.iter().take(usize::from(u16::MAX)));
    let certificates = pem(&certificate());
    rest.extend(PCK_CHAIN.to_le_bytes());
    rest.extend(length(&certificates));
    rest.extend(certificates);

    let mut quote = [VERSION.to_le_bytes(), ECDSA_P256.to_le_bytes()].concat();
    quote.resize(HEADER + BODY, 0);
    quote[HEADER + REPORT_DATA..][..digest.len()].copy_from_slice(digest);
    quote.extend(length(&rest));
    quote.extend(rest);
    quote
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// Of a platform's certificate, what is looked at: its issuer's name, and the extension with the FMSPC
/// (1.2.840.113741.1.13.1.4, an octet string) inside a sequence.
fn certificate() -> Vec<u8> {
    let extension =
        [&[0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, 0x04, 0x04, 0x06][..], &FMSPC]
            .concat();
    let name = [&[0x0c, ISSUER.len() as u8][..], ISSUER.as_bytes()].concat();
    let content = [name, extension].concat();
    [&[0x30, content.len() as u8][..], &content].concat()
}

fn pem(der: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| [line, b"\n"].concat()).collect();
    [&b"-----BEGIN CERTIFICATE-----\n"[..], &lines.concat()[..], b"-----END CERTIFICATE-----\n"].concat()
}
