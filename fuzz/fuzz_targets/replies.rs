//! libFuzzer program of [`prb_fuzz::replies`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prb_fuzz::replies(data));
