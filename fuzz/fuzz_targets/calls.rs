//! libFuzzer program of [`prb_fuzz::calls`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prb_fuzz::calls(data));
