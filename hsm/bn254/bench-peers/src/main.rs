//! One interleaved run of the curve against ark 0.6 and mcl: medians, ratios, targets and the
//! floor. Proves nothing but speed.
//!
//! Every candidate runs a slice of a few multiplications in turn, so that whatever else the machine
//! does falls on all of them alike. The curve takes and gives affine bytes; ark and mcl keep their
//! own projective forms, which favours them.

use std::hint::black_box;
use std::time::Instant;

use ark_bn254::{Fr, G1Projective, G2Projective};
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{BigInteger, PrimeField, UniformRand};
use bn254_ct::G1Point;
use bn254_ct::internals::{self as curve, Backend, Operation, VARIABLE_BASE_COUNT};

/// Multiplications in one slice of one candidate.
const SLICE: usize = 16;
/// Different scalars and points.
const INPUTS: usize = 64;

struct Candidate<'a> {
    name: &'static str,
    run: Box<dyn FnMut(usize) + 'a>,
    nanoseconds: Vec<f64>,
}

impl<'a> Candidate<'a> {
    fn new(name: &'static str, run: impl FnMut(usize) + 'a) -> Self {
        Self { name, run: Box::new(run), nanoseconds: Vec::new() }
    }

    fn slice(&mut self, start: usize) {
        let begin = Instant::now();
        for i in 0..SLICE {
            (self.run)((start + i) % INPUTS);
        }
        self.nanoseconds.push(begin.elapsed().as_secs_f64() * 1e9 / SLICE as f64);
    }

    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * part) as usize]
    }

    fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

fn to_bytes(k: Fr) -> [u8; 32] {
    k.into_bigint().to_bytes_be().try_into().unwrap()
}

fn mcl_g1(point: &G1Point) -> mcl_rust::G1 {
    let coordinate = |bytes: &[u8; 32]| {
        let mut little = *bytes;
        little.reverse();
        let mut value = mcl_rust::Fp::zero();
        assert!(value.set_little_endian(&little));
        value
    };
    let mut one = mcl_rust::Fp::zero();
    one.set_int(1);
    let g1 = mcl_rust::G1 { x: coordinate(point.x()), y: coordinate(point.y()), z: one };
    assert!(g1.is_valid());
    g1
}

fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(600);
    assert!(mcl_rust::init(mcl_rust::CurveType::SNARK));
    curve::initialise();
    let mut rng = ark_std::test_rng();
    let scalars: Vec<Fr> = (0..INPUTS).map(|_| Fr::rand(&mut rng)).collect();
    let points: Vec<G1Projective> = (0..INPUTS).map(|_| G1Projective::rand(&mut rng)).collect();
    let bytes: Vec<[u8; 32]> = scalars.iter().map(|k| to_bytes(*k)).collect();
    let own: Vec<G1Point> = points.iter().map(|p| p.into_affine().try_into().unwrap()).collect();
    // Normalised, so that ark starts from Z = 1 too.
    let points: Vec<G1Projective> = points.iter().map(|p| p.into_affine().into()).collect();
    let mcl_points: Vec<_> = own.iter().map(mcl_g1).collect();
    let mcl_scalars: Vec<_> = bytes
        .iter()
        .map(|k| {
            let mut little = *k;
            little.reverse();
            let mut value = mcl_rust::Fr::zero();
            assert!(value.set_little_endian(&little));
            value
        })
        .collect();
    let keys: Vec<G1Point> = bytes
        .iter()
        .map(|k| G1Point::from_bytes(&curve::multiply_g1_generator(Backend::Portable, k)).unwrap())
        .collect();

    // What is measured is right: all candidates agree on every input.
    for i in 0..INPUTS {
        let expected = G1Point::try_from((points[i] * scalars[i]).into_affine()).unwrap();
        for backend in [Backend::Assembly, Backend::Portable] {
            assert_eq!(curve::multiply(backend, &bytes[i], &own[i], &[7; 32]), expected.to_bytes());
        }
        let (mut product, mut normal) = (mcl_rust::G1::zero(), mcl_rust::G1::zero());
        mcl_rust::G1::mul(&mut product, &mcl_points[i], &mcl_scalars[i]);
        mcl_rust::G1::normalize(&mut normal, &product);
        assert!(normal == mcl_g1(&expected));
    }

    let variable = |backend: Backend| {
        let (bytes, own) = (&bytes, &own);
        move |i: usize| {
            black_box(curve::multiply(backend, &bytes[i], &own[i], &bytes[(i + 1) % INPUTS]));
        }
    };
    let mut candidates = vec![
        Candidate::new("ark 0.6: Projective * Fr", |i| {
            let _ = black_box(black_box(points[i]) * black_box(scalars[i]));
        }),
        Candidate::new("mcl 1.2: mul", |i| {
            let mut product = mcl_rust::G1::zero();
            mcl_rust::G1::mul(&mut product, &mcl_points[i], &mcl_scalars[i]);
            black_box(product);
        }),
        Candidate::new("curve, assembly", variable(Backend::Assembly)),
        Candidate::new("curve, portable", variable(Backend::Portable)),
        Candidate::new("curve, linear fault check", |i| {
            let (result, on_curve, agrees) = curve::multiply_linear(
                Backend::Assembly,
                &bytes[i],
                &own[i],
                &keys[i],
                &bytes[(i + 1) % INPUTS],
            );
            assert!(bool::from(on_curve & agrees));
            black_box(result);
        }),
        Candidate::new("ark 0.6: G1 generator * Fr", |i| {
            let _ = black_box(G1Projective::generator() * black_box(scalars[i]));
        }),
        Candidate::new("curve, G1 fixed base", |i| {
            black_box(curve::multiply_g1_generator(Backend::Assembly, &bytes[i]));
        }),
        Candidate::new("curve, G1 fixed base, portable", |i| {
            black_box(curve::multiply_g1_generator(Backend::Portable, &bytes[i]));
        }),
        Candidate::new("ark 0.6: G2 generator * Fr", |i| {
            let _ = black_box(G2Projective::generator() * black_box(scalars[i]));
        }),
        Candidate::new("curve, G2 fixed base", |i| {
            black_box(curve::multiply_g2_generator(Backend::Assembly, &bytes[i]));
        }),
        Candidate::new("curve, G2 fixed base, portable", |i| {
            black_box(curve::multiply_g2_generator(Backend::Portable, &bytes[i]));
        }),
    ];
    let kinds = VARIABLE_BASE_COUNT.map(|(operation, _)| operation);
    let mut streams = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]];
    let mut field: Vec<(Backend, Operation, Vec<f64>)> = [Backend::Assembly, Backend::Portable]
        .into_iter()
        .flat_map(|backend| kinds.map(|operation| (backend, operation, Vec::new())))
        .collect();

    for round in 0..rounds {
        for candidate in &mut candidates {
            candidate.slice(round * SLICE);
        }
        for (backend, operation, nanoseconds) in &mut field {
            let count = if *operation == Operation::Invert { 10 } else { 500 };
            let begin = Instant::now();
            curve::run_streams(*backend, *operation, &mut streams, count);
            nanoseconds.push(begin.elapsed().as_secs_f64() * 1e9 / f64::from(4 * count));
        }
    }
    black_box(streams);

    report(&candidates, field);
}

fn report(candidates: &[Candidate<'_>], field: Vec<(Backend, Operation, Vec<f64>)>) {
    println!("{:<32}{:>12}{:>12}", "", "median µs", "5 % µs");
    for candidate in candidates {
        println!(
            "{:<32}{:>12.2}{:>12.2}",
            candidate.name,
            candidate.median() / 1e3,
            candidate.quantile(0.05) / 1e3
        );
    }
    let median = |name: &str| candidates.iter().find(|candidate| candidate.name == name).unwrap().median();

    println!("\n{:<48}{:>8}{:>8}{:>8}{:>10}", "ratio of medians", "ratio", "must", "target", "");
    let mut failed = false;
    let ark = "ark 0.6: Projective * Fr";
    for (own, peer, must, target) in [
        ("curve, assembly", ark, 0.50, 0.42),
        ("curve, portable", ark, 0.75, 0.60),
        ("curve, assembly", "mcl 1.2: mul", 0.85, 0.70),
        ("curve, G1 fixed base", "ark 0.6: G1 generator * Fr", 0.35, 0.22),
        ("curve, G2 fixed base", "ark 0.6: G2 generator * Fr", 0.30, 0.18),
    ] {
        let ratio = median(own) / median(peer);
        let word = if ratio <= target {
            "target met"
        } else if ratio <= must {
            "must met"
        } else {
            "MISSED"
        };
        failed |= ratio > must;
        println!("{:<48}{ratio:>8.3}{must:>8.2}{target:>8.2}  {word}", format!("{own} / {peer}"));
    }
    println!(
        "{:<48}{:>8.3}",
        "linear fault check / plain",
        median("curve, linear fault check") / median("curve, assembly")
    );

    println!("\nfloor of a variable-base multiplication: operations × throughput on four streams");
    for backend in [Backend::Assembly, Backend::Portable] {
        let mut floor = 0.0;
        for (operation, count) in VARIABLE_BASE_COUNT {
            let (.., values) = field.iter().find(|(b, o, _)| (*b, *o) == (backend, operation)).unwrap();
            let mut values = values.clone();
            values.sort_by(f64::total_cmp);
            let each = values[values.len() / 2];
            floor += each * f64::from(count);
            println!("  {backend:?} {operation:?}: {count} × {each:.1} ns");
        }
        let name = if backend == Backend::Assembly { "curve, assembly" } else { "curve, portable" };
        println!("  {backend:?}: floor {:.2} µs, measured / floor {:.2}", floor / 1e3, median(name) / floor);
    }
    if failed {
        eprintln!("a ratio that must be met was missed");
        std::process::exit(1);
    }
}
