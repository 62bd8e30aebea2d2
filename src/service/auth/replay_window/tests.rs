#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use super::*;

/// Credentials of form; whose signature it is does not matter here.
fn credentials(operator: u8, nonce: u16, expires: u64) -> Credentials {
    let mut signature = [1; 65];
    signature[64] = 27;
    let mut long = [0; 32];
    long[..2].copy_from_slice(&nonce.to_be_bytes());
    Credentials {
        operator: Eoa::new([operator; 20]),
        issued: expires - 300,
        expires,
        nonce: long,
        signature: crate::auth::EoaSignature::from_bytes(&signature).unwrap(),
        signature_bytes: signature,
    }
}

#[test]
fn a_nonce_works_once_for_one_operator_until_it_expires() {
    let nonces = Nonces::default();
    assert!(nonces.take(&credentials(1, 1, 1_000), 900, false).is_ok());
    assert_eq!(
        nonces.take(&credentials(1, 1, 1_000), 999, false).unwrap_err().code(),
        ErrorCode::Unauthenticated
    );
    assert!(nonces.take(&credentials(2, 1, 1_000), 999, false).is_ok(), "another operator's nonce");
    // A second signature with the same nonce and a later end is the same nonce.
    assert!(nonces.take(&credentials(1, 1, 1_100), 999, false).is_err());
    nonces.take(&credentials(1, 2, 1_100), 1_000, false).unwrap();
    let all = nonces.0.lock().unwrap();
    assert_eq!((all.by_expiry.len(), all.by_operator.len()), (1, 1), "what expired is kept");
}

#[test]
fn a_clock_that_is_set_back_makes_no_old_signature_new() {
    let nonces = Nonces::default();
    nonces.take(&credentials(1, 1, 1_000), 900, false).unwrap();
    nonces.take(&credentials(1, 2, 2_000), 1_800, false).unwrap();
    assert!(nonces.take(&credentials(1, 1, 1_000), 900, false).is_err());
}

#[test]
fn what_is_remembered_is_bounded_for_each_operator() {
    let nonces = Nonces::default();
    for nonce in 0..MOST_PER_OPERATOR {
        nonces.take(&credentials(1, u16::try_from(nonce).unwrap(), 1_000), 900, false).unwrap();
    }
    let full = nonces.take(&credentials(1, u16::MAX, 1_000), 900, false).unwrap_err();
    assert_eq!((full.code(), full.retry().is_some()), (ErrorCode::RateLimited, true));
    assert!(nonces.take(&credentials(2, 0, 1_000), 900, false).is_ok());
    assert!(nonces.take(&credentials(1, u16::MAX, 1_300), 1_000, false).is_ok(), "room again");
}

#[test]
fn strangers_leave_places_to_who_has_keys_here() {
    let nonces = Nonces::default();
    let operators = MOST_FOR_STRANGERS.div_ceil(MOST_PER_OPERATOR);
    for operator in 0..u8::try_from(operators).unwrap() {
        for nonce in 0..u16::try_from(MOST_PER_OPERATOR).unwrap() {
            nonces.take(&credentials(operator, nonce, 1_000), 900, false).unwrap();
        }
    }
    let refused = nonces.take(&credentials(u8::MAX, 0, 1_000), 900, false).unwrap_err();
    assert_eq!((refused.code(), refused.retry().is_some()), (ErrorCode::Overloaded, true));
    nonces.take(&credentials(u8::MAX, 0, 1_000), 900, true).unwrap();
    nonces.take(&credentials(u8::MAX, 1, 1_300), 1_000, false).unwrap();
}
