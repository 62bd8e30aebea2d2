//! Any bytes as an encoded point: refused, or read and written back unchanged.
#![no_main]

use bn254_ct::{G1Point, G2Point};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(bytes) = data.try_into() {
        G1Point::from_gnark_compressed(bytes)
            .into_iter()
            .for_each(|p| assert_eq!(&p.to_gnark_compressed(), bytes));
        G1Point::from_arkworks_compressed(bytes)
            .into_iter()
            .for_each(|p| assert_eq!(&p.to_arkworks_compressed(), bytes));
    }
    if let Ok(bytes) = data.try_into() {
        G1Point::from_bytes(bytes).into_iter().for_each(|p| assert_eq!(&p.to_bytes(), bytes));
        G1Point::from_arkworks_uncompressed(bytes)
            .into_iter()
            .for_each(|p| assert_eq!(&p.to_arkworks_uncompressed(), bytes));
        G2Point::from_gnark_compressed(bytes)
            .into_iter()
            .for_each(|p| assert_eq!(&p.to_gnark_compressed(), bytes));
        G2Point::from_arkworks_compressed(bytes)
            .into_iter()
            .for_each(|p| assert_eq!(&p.to_arkworks_compressed(), bytes));
    }
    if let Ok(bytes) = data.try_into() {
        G2Point::from_bytes(bytes).into_iter().for_each(|p| assert_eq!(&p.to_bytes(), bytes));
        G2Point::from_arkworks_uncompressed(bytes)
            .into_iter()
            .for_each(|p| assert_eq!(&p.to_arkworks_uncompressed(), bytes));
    }
});
