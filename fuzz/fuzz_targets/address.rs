//! Any bytes as an address, or the name of a key.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avs_kms::http::fuzz::address(data));
