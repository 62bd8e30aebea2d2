//! Any bytes as an EIP-4361 message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avs_kms::auth::fuzz_sign_in(data));
