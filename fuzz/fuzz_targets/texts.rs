//! libFuzzer program of [`prb_fuzz::texts`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prb_fuzz::texts(data));
