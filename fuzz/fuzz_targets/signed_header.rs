//! Any bytes as the header of a signed request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avs_kms::auth::fuzz_credentials(data));
