//! libFuzzer program of [`prb_fuzz::attestation`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prb_fuzz::attestation(data));
