//! Any bytes as 32 bytes of hex, a version or a number.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avs_kms::http::fuzz::hex32(data));
