#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use super::*;

/// Well-formed credentials; the signature itself is not checked here.
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
    let window = ReplayWindow::default();
    assert!(window.take(&credentials(1, 1, 1_000), 900, false).is_ok());
    assert_eq!(
        window.take(&credentials(1, 1, 1_000), 999, false).unwrap_err().code(),
        ErrorCode::Unauthenticated
    );
    assert!(window.take(&credentials(2, 1, 1_000), 999, false).is_ok(), "another operator's nonce");
    // A second signature with the same nonce and a later end is the same nonce.
    assert!(window.take(&credentials(1, 1, 1_100), 999, false).is_err());
    window.take(&credentials(1, 2, 1_100), 1_000, false).unwrap();
    let all = window.0.lock().unwrap();
    assert_eq!((all.by_expiry.len(), all.by_operator.len()), (1, 1), "what expired is kept");
}

#[test]
fn a_clock_that_is_set_back_makes_no_old_signature_new() {
    let window = ReplayWindow::default();
    window.take(&credentials(1, 1, 1_000), 900, false).unwrap();
    window.take(&credentials(1, 2, 2_000), 1_800, false).unwrap();
    assert!(window.take(&credentials(1, 1, 1_000), 900, false).is_err());
}

#[test]
fn what_is_remembered_is_bounded_for_each_operator() {
    let window = ReplayWindow::default();
    for nonce in 0..MOST_PER_OPERATOR {
        window.take(&credentials(1, u16::try_from(nonce).unwrap(), 1_000), 900, false).unwrap();
    }
    let full = window.take(&credentials(1, u16::MAX, 1_000), 900, false).unwrap_err();
    assert_eq!((full.code(), full.retry().is_some()), (ErrorCode::RateLimited, true));
    assert!(window.take(&credentials(2, 0, 1_000), 900, false).is_ok());
    assert!(
        window.take(&credentials(1, u16::MAX, 1_300), 1_000, false).is_ok(),
        "the window has space again"
    );
}

#[test]
fn unknown_operators_leave_half_of_the_window_to_known_ones() {
    let window = ReplayWindow::default();
    let operators = MOST_OF_UNKNOWN.div_ceil(MOST_PER_OPERATOR);
    for operator in 0..u8::try_from(operators).unwrap() {
        for nonce in 0..u16::try_from(MOST_PER_OPERATOR).unwrap() {
            window.take(&credentials(operator, nonce, 1_000), 900, false).unwrap();
        }
    }
    let refused = window.take(&credentials(u8::MAX, 0, 1_000), 900, false).unwrap_err();
    assert_eq!((refused.code(), refused.retry().is_some()), (ErrorCode::Overloaded, true));
    window.take(&credentials(u8::MAX, 0, 1_000), 900, true).unwrap();
    window.take(&credentials(u8::MAX, 1, 1_300), 1_000, false).unwrap();
}
