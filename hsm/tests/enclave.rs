//! The main job against a real SoftHSM: make keys, multiply, survive a restart, destroy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

use std::time::{Duration, Instant};

use ark_ec::pairing::Pairing;
use ark_ff::PrimeField;
use hsm::*;

#[path = "support/token.rs"]
mod support;
use support::*;

fn fq(bytes: &[u8]) -> ark_bn254::Fq {
    ark_bn254::Fq::from_be_bytes_mod_order(bytes)
}

fn g1(point: &G1Point) -> ark_bn254::G1Affine {
    let bytes = point.to_bytes();
    ark_bn254::G1Affine::new(fq(&bytes[..32]), fq(&bytes[32..]))
}

fn g2(point: &G2Point) -> ark_bn254::G2Affine {
    let b = point.to_bytes();
    let x = ark_bn254::Fq2::new(fq(&b[32..64]), fq(&b[..32]));
    let y = ark_bn254::Fq2::new(fq(&b[96..]), fq(&b[64..96]));
    ark_bn254::G2Affine::new(x, y)
}

/// e(product, G2) = e(point, k·G2): by an independent library.
fn verifies(product: &G1Point, point: &G1Point, key: &PublicKey) -> bool {
    let left = ark_bn254::Bn254::pairing(g1(product), g2(&G2Point::generator()));
    left == ark_bn254::Bn254::pairing(g1(point), g2(&key.g2))
}

#[test]
fn a_created_key_signs_and_its_signature_verifies() {
    isolated("a_created_key_signs_and_its_signature_verifies", |fixture| {
        fixture.initialised();
        for fault_check in [FaultCheck::Linear, FaultCheck::Curve] {
            let enclave = Enclave::open(Settings { fault_check, ..fixture.settings() }).unwrap();
            let (first, second) = (new_key(1), new_key(2));
            let keys = [create(&enclave, first), create(&enclave, second)];
            assert_ne!(keys[0], keys[1]);
            // A point that is not the generator: the other key.
            let point = keys[1].g1;
            for (id, key) in [(first.id, keys[0]), (second.id, keys[1])] {
                assert_eq!(enclave.public_key(id), Some(key));
                for _ in 0..3 {
                    let product = run(enclave.scalar_mul(id, point, soon())).unwrap();
                    assert!(verifies(&product, &point, &key));
                }
                assert!(signs(&enclave, id, &key));
                let twin = ark_bn254::Bn254::pairing(g1(&key.g1), g2(&G2Point::generator()));
                assert_eq!(twin, ark_bn254::Bn254::pairing(g1(&G1Point::generator()), g2(&key.g2)));
            }
            enclave.close();
        }
    });
}

#[test]
fn a_restart_keeps_every_key_and_its_owner() {
    isolated("a_restart_keeps_every_key_and_its_owner", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let mut made: Vec<_> = (0..5).map(new_key).map(|key| (key, create(&enclave, key))).collect();
        made.sort_by_key(|(key, _)| key.id);
        let listed = enclave.keys();
        enclave.close();
        let enclave = fixture.open();
        assert_eq!(enclave.keys(), listed);
        assert_eq!(listed.len(), made.len());
        for ((key, public), entry) in made.iter().zip(&listed) {
            assert_eq!((entry.id, entry.owner, entry.public_key), (key.id, key.owner, *public));
            assert!(signs(&enclave, key.id, public));
        }
        let health = enclave.health();
        assert_eq!(health.keys, 5);
        assert_eq!(health.findings, Findings::default());
        assert_eq!((health.token, health.workers), (TokenState::Ready, 2));
    });
}

#[test]
fn creating_twice_gives_one_key_and_another_owner_is_refused() {
    isolated("creating_twice_gives_one_key_and_another_owner_is_refused", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        assert_eq!(create(&enclave, key), create(&enclave, key));
        let other_owner = NewKey { owner: [2; 20], ..key };
        assert!(matches!(run(enclave.create(other_owner, soon())), Err(EnclaveError::KeyExists)));
        assert_eq!(enclave.keys().len(), 1);
    });
}

#[test]
fn a_destroyed_key_is_gone_for_good() {
    isolated("a_destroyed_key_is_gone_for_good", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let (gone, kept) = (new_key(1), new_key(1));
        let kept_key = create(&enclave, kept);
        create(&enclave, gone);
        run(enclave.destroy(gone.id, soon())).unwrap();
        assert!(matches!(run(enclave.destroy(gone.id, soon())), Err(EnclaveError::UnknownKey)));
        let used = run(enclave.scalar_mul(gone.id, G1Point::generator(), soon()));
        assert!(matches!(used, Err(EnclaveError::UnknownKey)));
        assert_eq!(enclave.public_key(gone.id), None);
        enclave.close();
        let enclave = fixture.open();
        assert_eq!(enclave.keys().len(), 1);
        assert!(signs(&enclave, kept.id, &kept_key));
    });
}

#[test]
fn a_passed_deadline_gives_no_product_and_a_full_queue_is_said_so() {
    isolated("a_passed_deadline_gives_no_product_and_a_full_queue_is_said_so", |fixture| {
        fixture.initialised();
        let settings = Settings { workers: 1, queue: 1, ..fixture.settings() };
        let enclave = Enclave::open(settings).unwrap();
        let key = new_key(1);
        create(&enclave, key);
        let late = run(enclave.scalar_mul(key.id, G1Point::generator(), Instant::now()));
        assert!(matches!(late, Err(EnclaveError::DeadlineExceeded)));
        // Once one is answered, the queue is empty: the late one was dropped.
        while run(enclave.scalar_mul(key.id, G1Point::generator(), soon())).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // One thread asks 200 times before it looks at an answer.
        let answers = run(async {
            let ask = |enclave: Enclave| async move {
                enclave.scalar_mul(key.id, G1Point::generator(), soon()).await
            };
            let all: Vec<_> = (0..200).map(|_| tokio::spawn(ask(enclave.clone()))).collect();
            let mut answers = Vec::new();
            for one in all {
                answers.push(one.await.unwrap());
            }
            answers
        });
        let overloaded = answers.iter().filter(|a| matches!(a, Err(EnclaveError::Overloaded))).count();
        let served = answers.iter().filter(|a| a.is_ok()).count();
        assert!(served > 0 && overloaded > 0 && served + overloaded == 200, "{served} {overloaded}");
    });
}

#[test]
fn closing_answers_what_was_queued_and_refuses_what_comes_later() {
    isolated("closing_answers_what_was_queued_and_refuses_what_comes_later", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        create(&enclave, key);
        let other = enclave.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
        let queued: Vec<_> = (0..20)
            .map(|_| {
                let enclave = enclave.clone();
                runtime.spawn(async move { enclave.scalar_mul(key.id, G1Point::generator(), soon()).await })
            })
            .collect();
        let begun = Instant::now();
        enclave.close();
        assert!(begun.elapsed() < Duration::from_secs(5));
        for answer in queued {
            let answer = runtime.block_on(answer).unwrap();
            assert!(matches!(answer, Ok(_) | Err(EnclaveError::ShuttingDown)), "{answer:?}");
        }
        let late = run(other.scalar_mul(key.id, G1Point::generator(), soon()));
        assert!(matches!(late, Err(EnclaveError::ShuttingDown)), "{late:?}");
        // The lock is free again.
        fixture.open().close();
    });
}

#[test]
fn no_scalar_repeats_and_none_is_out_of_range() {
    isolated("no_scalar_repeats_and_none_is_out_of_range", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let keys: std::collections::HashSet<_> =
            (0..32).map(|_| create(&enclave, new_key(1)).g1.to_bytes()).collect();
        assert_eq!(keys.len(), 32);
    });
}
