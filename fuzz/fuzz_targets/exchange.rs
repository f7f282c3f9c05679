//! libFuzzer program of [`prb_fuzz::exchange`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prb_fuzz::exchange(data));
