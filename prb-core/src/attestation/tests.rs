use super::*;
use crate::testkit::quote::{certificate, dcap_quote, pem, quote};
use proptest::prelude::*;

const FMSPC: [u8; 6] = [0x00, 0x90, 0x6e, 0xa1, 0x00, 0x00];

fn report(quote: Vec<u8>) -> Vec<u8> {
    Some(AttestationReport::SgxDcap { quote, collateral: None }).encode()
}

fn chain(issuer: &str) -> Vec<u8> {
    [pem(&certificate(issuer, &FMSPC)), pem(b"another")].concat()
}

fn collateral() -> SgxV30QuoteCollateral {
    let text = |text: &str| text.to_owned();
    SgxV30QuoteCollateral {
        pck_crl_issuer_chain: text("a"),
        root_ca_crl: text("b"),
        pck_crl: text("c"),
        tcb_info_issuer_chain: text("d"),
        tcb_info: text("e"),
        tcb_info_signature: vec![1],
        qe_identity_issuer_chain: text("f"),
        qe_identity: text("g"),
        qe_identity_signature: vec![2],
    }
}

#[test]
fn v3_f20_the_provider_follows_from_what_the_worker_can_and_what_is_configured() {
    use AttestationProvider::{Dcap, Ias};
    for (methods, has_collateral, expected) in [
        (&[][..], false, Some(Ias)),
        (&[], true, Some(Ias)),
        (&["none"], false, None),
        (&["none"], true, None),
        (&["none", "epid"], false, Some(Ias)),
        (&["none", "epid"], true, Some(Ias)),
        (&["none", "dcap"], false, Some(Dcap)),
        (&["none", "dcap"], true, Some(Dcap)),
        (&["none", "epid", "dcap"], false, Some(Ias)),
        (&["none", "dcap", "epid"], true, Some(Dcap)),
        (&["tdx"], true, None),
    ] {
        let methods: Vec<String> = methods.iter().map(|method| (*method).to_owned()).collect();
        assert_eq!(provider(&methods, has_collateral), expected, "{methods:?} {has_collateral}");
    }
}

#[test]
fn v3_f22_a_quote_says_which_collateral_it_needs() {
    for ca in [PckCa::Processor, PckCa::Platform] {
        let expected = PlatformKind { fmspc: FMSPC, ca };
        let kind = lacks(&report(dcap_quote(expected))).unwrap().unwrap();
        assert_eq!(kind, expected);
        assert_eq!(kind.to_string(), format!("FMSPC 00906EA10000 ({} CA)", ca.name()));
    }
}

#[test]
fn v3_f22_what_is_wrong_with_a_quote_is_said() {
    let good = chain("Intel SGX PCK Processor CA");
    for (quote, expected) in [
        (vec![], BadQuote::Short("version")),
        (quote(4, 5, &good), BadQuote::Version(4)),
        (quote(3, 5, &good)[..900].to_vec(), BadQuote::Short("signature")),
        (quote(3, 5, &good)[..1012].to_vec(), BadQuote::Short("enclave data")),
        (quote(3, 5, &good)[..1015].to_vec(), BadQuote::Short("enclave data")),
        (quote(3, 5, &good)[..1018].to_vec(), BadQuote::Short("certification data")),
        (quote(3, 5, &good)[..1100].to_vec(), BadQuote::Short("certification data")),
        (quote(3, 3, &good), BadQuote::NoCertificate(3)),
        (quote(3, 5, b"-----BEGIN CERTIFICATE-----"), BadQuote::NotPem),
        (quote(3, 5, b"-----BEGIN CERTIFICATE-----~-----END CERTIFICATE-----"), BadQuote::NotPem),
        (quote(3, 5, &pem(b"Intel SGX PCK Processor CA")), BadQuote::Foreign("FMSPC")),
        (
            quote(3, 5, &pem(&certificate("Intel SGX PCK Processor CA", &FMSPC[..5]))),
            BadQuote::Foreign("FMSPC"),
        ),
        (quote(3, 5, &pem(&certificate("Somebody", &FMSPC))), BadQuote::Foreign("issuer of SGX platforms")),
    ] {
        assert_eq!(lacks(&report(quote)), Err(expected));
    }
}

#[test]
fn v3_f22_only_reports_that_lack_collateral_get_it() {
    let quote = quote(3, 5, &chain("Intel SGX PCK Processor CA"));
    let completed = complete(&report(quote.clone()), &collateral());
    let with = Some(Collateral::SgxV30(collateral()));
    assert_eq!(completed, Some(AttestationReport::SgxDcap { quote, collateral: with }).encode());
    let ias = AttestationReport::SgxIas { ra_report: vec![1], signature: vec![2], raw_signing_cert: vec![3] };
    for report in [completed, None::<AttestationReport>.encode(), Some(ias).encode(), vec![1, 9, 9], vec![]] {
        assert_eq!(lacks(&report), Ok(None));
        assert_eq!(complete(&report, &collateral()), report);
    }
}

proptest! {
    #[test]
    fn v3_f22_no_quote_makes_it_panic(
        version in 2u16..5,
        kind in 4u16..7,
        certification in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0usize..1400,
        flips in prop::collection::vec((0usize..1400, any::<u8>()), 0..20),
    ) {
        let mut bytes = quote(version, kind, &[certification, chain("Intel SGX PCK Platform CA")].concat());
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        let _ = lacks(&report(bytes.clone()));
        bytes.truncate(cut);
        let _ = lacks(&report(bytes));
    }
}
