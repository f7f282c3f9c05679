//! libFuzzer program of [`prb_fuzz::sync`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prb_fuzz::sync(data));
