//! libFuzzer program of [`prb_fuzz::headers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prb_fuzz::headers(data));
