//! Any bytes as credentials.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avs_kms::http::fuzz::token(data));
