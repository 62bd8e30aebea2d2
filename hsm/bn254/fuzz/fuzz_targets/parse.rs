//! Any bytes as a point: refused, or read and written back unchanged.
#![no_main]

use bn254_ct::{G1Point, G2Point};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(bytes) = data.try_into() {
        G1Point::from_bytes(bytes).into_iter().for_each(|p| assert_eq!(&p.to_bytes(), bytes));
    }
    if let Ok(bytes) = data.try_into() {
        G2Point::from_bytes(bytes).into_iter().for_each(|p| assert_eq!(&p.to_bytes(), bytes));
    }
});
