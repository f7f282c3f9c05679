//! libFuzzer program of [`prb_fuzz::facts`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prb_fuzz::facts(data));
