//! Any bytes as a G1 point in a request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avs_kms::http::fuzz::point(data));
