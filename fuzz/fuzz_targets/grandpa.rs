//! libFuzzer program of [`prb_fuzz::grandpa`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prb_fuzz::grandpa(data));
