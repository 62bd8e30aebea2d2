//! A statistical test of timing: a fixed scalar against fresh random ones. Not a proof; memcheck is
//! nearer to one.
//!
//! Welch's t of the two classes' times, for all samples and for those below the 50, 75, 90 and 99 %
//! quantile, since interruptions hide small differences. |t| below 4.5 everywhere is the pass mark
//! of Reparaz, Balasch and Verbauwhede.

use std::hint::black_box;
use std::time::Instant;

use bn254_ct::G1Point;
use bn254_ct::internals::{self as curve, Backend};

const LIMIT: f64 = 4.5;
const CROPS: [f64; 5] = [0.50, 0.75, 0.90, 0.99, 1.0];

/// xorshift64*: fair coins and scalars for a timing test need no more.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|chunk| *chunk = self.word().to_be_bytes());
        bytes
    }

    /// Below r, as the top byte is below r's.
    fn scalar(&mut self) -> [u8; 32] {
        let mut k = self.bytes();
        k[0] %= 0x30;
        k
    }
}

fn fixed_scalars(random: &mut Random) -> [(&'static str, [u8; 32]); 4] {
    let mut one = [0; 32];
    one[31] = 1;
    let mut power = [0; 32];
    power[16] = 0x80;
    let order_minus_one = [
        0x30, 0x64, 0x4e, 0x72, 0xe1, 0x31, 0xa0, 0x29, 0xb8, 0x50, 0x45, 0xb6, 0x81, 0x81, 0x58, 0x5d, 0x28,
        0x33, 0xe8, 0x48, 0x79, 0xb9, 0x70, 0x91, 0x43, 0xe1, 0xf5, 0x93, 0xf0, 0x00, 0x00, 0x00,
    ];
    [("1", one), ("r - 1", order_minus_one), ("2^127", power), ("random", random.scalar())]
}

/// Prints a table and ends the process with 1 if a difference was found.
pub(crate) fn run(samples: usize) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut failed = false;
    println!("dudect: {samples} samples, limit |t| < {LIMIT}");
    println!(
        "{:<10}{:<12}{:>10}{:>16}{:>12}{:>12}",
        "backend", "fixed", "max |t|", "difference ns", "fixed ns", "random ns"
    );
    for backend in [Backend::Assembly, Backend::Portable].into_iter().filter(|backend| backend.is_supported())
    {
        for (name, fixed) in fixed_scalars(&mut random) {
            let p = G1Point::from_bytes(&curve::multiply_g1_generator(backend, &random.scalar())).unwrap();
            let multiply = |k: &[u8; 32], blinding: &[u8; 32]| curve::multiply(backend, k, &p, blinding);
            let times = measure(multiply, &fixed, samples, &mut random);
            let (t, difference) = largest_t(&times);
            let medians = times.map(|mut class| quantile(&mut class, 0.5));
            let verdict = if t < LIMIT { "" } else { "  FAILED" };
            failed |= t >= LIMIT;
            println!(
                "{:<10}{name:<12}{t:>10.2}{difference:>16.1}{:>12.0}{:>12.0}{verdict}",
                format!("{backend:?}"),
                medians[0],
                medians[1]
            );
        }
    }
    let [(_, one), ..] = fixed_scalars(&mut random);
    failed |= !control_is_seen(&one, &mut random);
    if failed {
        std::process::exit(1);
    }
}

/// The positive control: arkworks' multiplication, which skips leading zeros, must be told apart at
/// once.
fn control_is_seen(one: &[u8; 32], random: &mut Random) -> bool {
    use ark_ec::PrimeGroup;
    use ark_ff::PrimeField;
    let p = ark_bn254::G1Projective::generator();
    let multiply = |k: &[u8; 32], _: &[u8; 32]| p * ark_bn254::Fr::from_be_bytes_mod_order(k);
    let (t, _) = largest_t(&measure(multiply, one, 2_000, random));
    println!(
        "{:<10}{:<12}{t:>10.2}  {}",
        "arkworks",
        "1",
        if t >= LIMIT { "seen, as it must be" } else { "NOT SEEN" }
    );
    t >= LIMIT
}

/// What one sample needs, laid out alike for both classes.
struct Sample {
    k: [u8; 32],
    blinding: [u8; 32],
    fixed: bool,
}

/// Nanoseconds of the fixed class and of the random one, in an order that a coin decides. All
/// inputs are made before the first measurement: whatever depends on the class near the clock would
/// be measured too.
fn measure<T>(
    multiply: impl Fn(&[u8; 32], &[u8; 32]) -> T,
    fixed: &[u8; 32],
    samples: usize,
    random: &mut Random,
) -> [Vec<f64>; 2] {
    // The first hundredth warms caches and predictors.
    let warm_up = samples / 100;
    let inputs: Vec<Sample> = (0..samples + warm_up)
        .map(|_| {
            let (fresh, blinding, coin) = (random.scalar(), random.bytes(), random.word() >> 63 == 1);
            Sample { k: if coin { *fixed } else { fresh }, blinding, fixed: coin }
        })
        .collect();
    let mut nanoseconds = vec![0.0; inputs.len()];
    for (input, time) in inputs.iter().zip(&mut nanoseconds) {
        let (k, blinding) = black_box((input.k, input.blinding));
        let begin = Instant::now();
        black_box(multiply(&k, &blinding));
        *time = begin.elapsed().as_nanos() as f64;
    }
    let class = |fixed: bool| {
        let of_class =
            inputs.iter().zip(&nanoseconds).skip(warm_up).filter(|(input, _)| input.fixed == fixed);
        of_class.map(|(_, time)| *time).collect()
    };
    [class(true), class(false)]
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}

/// The largest |t| over the crops, and the difference of the means there.
fn largest_t(times: &[Vec<f64>; 2]) -> (f64, f64) {
    let mut all = times.concat();
    CROPS
        .into_iter()
        .map(|part| {
            let limit = quantile(&mut all, part);
            let [a, b] =
                [0, 1].map(|class| moments(times[class].iter().copied().filter(|time| *time <= limit)));
            (((a.1 - b.1) / (a.2 / a.0 + b.2 / b.0).sqrt()).abs(), a.1 - b.1)
        })
        .fold((0.0, 0.0), |largest, next| if next.0 > largest.0 { next } else { largest })
}

/// Count, mean and variance.
fn moments(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let (mut count, mut mean, mut sum) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let difference = value - mean;
        mean += difference / count;
        sum += difference * (value - mean);
    }
    (count, mean, sum / (count - 1.0))
}
