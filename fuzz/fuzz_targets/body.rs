//! Any bytes as the body of a request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avs_kms::http::fuzz::body(data));
