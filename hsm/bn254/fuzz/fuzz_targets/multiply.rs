//! Any bytes as scalar, point and blinding: both backends and the fault check agree with arkworks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bn254_ct::internals::check_any_bytes(data));
