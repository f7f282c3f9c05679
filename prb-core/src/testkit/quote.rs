//! DCAP quotes in the layout of real ones, signed by nobody.

use crate::attestation::{PckCa, PlatformKind};

/// A quote of a platform of that kind, as far as a bridge looks into it.
pub fn dcap_quote(kind: PlatformKind) -> Vec<u8> {
    let issuer = match kind.ca {
        PckCa::Processor => "Intel SGX PCK Processor CA",
        PckCa::Platform => "Intel SGX PCK Platform CA",
    };
    quote(3, 5, &[pem(&certificate(issuer, &kind.fmspc)), pem(b"its issuer")].concat())
}

/// A quote with this version, kind of certification data, and certification data.
pub fn quote(version: u16, kind: u16, certification: &[u8]) -> Vec<u8> {
    let mut quote = vec![0; 48 + 384 + 4 + 64 + 64 + 384 + 64];
    quote[..2].copy_from_slice(&version.to_le_bytes());
    // Three bytes of enclave data.
    quote.extend([3, 0, 1, 2, 3]);
    quote.extend(kind.to_le_bytes());
    quote.extend((certification.len() as u32).to_le_bytes());
    quote.extend(certification);
    quote
}

/// What of a platform's certificate is looked at: the issuer's name and the extension with the FMSPC.
pub fn certificate(issuer: &str, fmspc: &[u8]) -> Vec<u8> {
    let oid = [6, 10, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 1, 0x0d, 1, 4, 4, fmspc.len() as u8];
    [&[0x30, 0x82][..], issuer.as_bytes(), b"Intel SGX PCK Certificate", &oid, fmspc, &[5, 0]].concat()
}

/// A certificate as PEM.
pub fn pem(der: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (number, three) in der.chunks(3).enumerate() {
        let held = three.iter().fold(0u32, |held, byte| held << 8 | u32::from(*byte));
        let held = held << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = (held >> (18 - 6 * at)) & 63;
            text.push(if at > three.len() { '=' } else { char::from(DIGITS[digit as usize]) });
        }
        if number % 16 == 15 {
            text.push_str("\r\n");
        }
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text.into_bytes()
}
