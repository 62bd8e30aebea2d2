//! The constant-time harness: memcheck with the scalar undefined, and a timing test. Run it by
//! `hsm/bn254/ct/run`. Not a test of results, though each one is compared.
//!
//! `ct memcheck CASE` runs one case under valgrind: the secret's bytes are marked undefined, so
//! that memcheck reports each conditional jump and each address that depends on them (Langley,
//! "ctgrind", 2010). The result is marked defined before it is looked at. `ct dudect CASE SAMPLES`
//! measures times (Reparaz, Balasch, Verbauwhede, <https://eprint.iacr.org/2016/1123>).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::exit)] // a tool
#![allow(unsafe_code)] // requests to valgrind

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use bn254_ct::G1Point;
use bn254_ct::internals::{self as curve, Backend};

#[path = "ct/dudect.rs"]
mod dudect;
#[path = "../../src/wrap/oaep/padding.rs"]
mod padding;

/// Counts allocations: a multiplication makes none.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: the system's allocator, counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;
const MAKE_MEM_DEFINED: usize = 0x4d43_0002;
const RUNNING_ON_VALGRIND: usize = 0x1001;

/// A client request (valgrind.h, amd64): no effect outside valgrind, which recognises the
/// rotations. Answers 0 there.
fn request(number: usize, address: usize, length: usize) -> usize {
    let arguments = [number, address, length, 0, 0, 0];
    let mut answer = 0usize;
    // SAFETY: the rotations cancel out and the exchange does nothing; valgrind reads the arguments and sets
    // rdx.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(), inout("rdx") answer, out("rdi") _,
        );
    }
    answer
}

fn undefined<T: ?Sized>(value: &mut T) {
    request(MAKE_MEM_UNDEFINED, std::ptr::from_mut(value).cast::<u8>() as usize, size_of_val(value));
}

fn defined<T: ?Sized>(value: &mut T) {
    request(MAKE_MEM_DEFINED, std::ptr::from_mut(value).cast::<u8>() as usize, size_of_val(value));
}

/// A scalar whose halves, digits and limbs are all busy.
fn scalar() -> [u8; 32] {
    let mut k = [0x5b; 32];
    k[0] = 0x1d;
    k[31] = 0x77;
    k
}

/// Runs `secret` on an undefined scalar and compares the result with that of a defined one.
fn compare<const N: usize>(secret: impl Fn(&[u8; 32]) -> [u8; N]) {
    let expected = secret(&scalar());
    let mut k = scalar();
    undefined(&mut k);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut result = secret(black_box(&k));
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before, "the multiplication allocated");
    defined(&mut result);
    assert_eq!(result, expected);
}

fn parse_backend(name: &str) -> Backend {
    match name {
        "assembly" => Backend::Assembly,
        "portable" => Backend::Portable,
        _ => panic!("assembly or portable"),
    }
}

fn memcheck(case: &str) {
    assert_eq!(request(RUNNING_ON_VALGRIND, 0, 0), 1, "run this under valgrind, by hsm/bn254/ct/run");
    let p = G1Point::from_bytes(&curve::multiply_g1_generator(Backend::Portable, &[3; 32])).unwrap();
    let (name, variant) = case.split_once('-').unwrap();
    match name {
        "variable" => compare(|k| curve::multiply(parse_backend(variant), k, &p, &[9; 32])),
        "g1" => compare(|k| curve::multiply_g1_generator(parse_backend(variant), k)),
        "g2" => compare(|k| curve::multiply_g2_generator(parse_backend(variant), k)),
        "checked" => {
            let key =
                G1Point::from_bytes(&curve::multiply_g1_generator(Backend::Portable, &scalar())).unwrap();
            compare(|k| {
                let (result, on_curve, agrees) =
                    curve::multiply_linear(parse_backend(variant), k, &p, &key, &[9; 32]);
                let mut verdict = (on_curve & agrees).unwrap_u8();
                defined(&mut verdict);
                assert_eq!(verdict, 1);
                result
            });
        }
        // Scheme S6 of `hsm`: the scalar as text, and as key. Opening runs the same, and then branches on the verdict.
        "gcm" => compare(|k| {
            let mut sealed = [0; 48];
            sealed[..32].copy_from_slice(k);
            let (text, place) = sealed.split_at_mut(32);
            let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*k));
            let tag = cipher.encrypt_in_place_detached(&Nonce::default(), &[7; 300], text).unwrap();
            place.copy_from_slice(&tag);
            sealed
        }),
        // Scheme S5 of `hsm`: the scalar as text, and as seed of the padding.
        "oaep" => {
            let modulus: [u8; 384] = std::array::from_fn(|at| if at % 383 == 0 { 0x8d } else { at as u8 });
            match variant {
                "sha256" => compare(|k| padding::encrypt::<sha2::Sha256>(&text_of(k), k, &modulus)),
                "sha1" => compare(|k| padding::encrypt::<sha1::Sha1>(&text_of(k), &k[..20], &modulus)),
                _ => panic!("sha256 or sha1"),
            }
        }
        "range" => compare(|k| [curve::scalar_in_range(k).unwrap_u8()]),
        "split" => compare(curve::split_digits),
        "inversion" => compare(|k| curve::invert(parse_backend(variant), k)),
        // The positive controls: a table read at a secret index, and a branch on a secret bit.
        "control" if variant == "address" => {
            let table: [u8; 16] = std::array::from_fn(|i| i as u8 ^ 5);
            compare(|k| [black_box(&table)[usize::from(k[31] & 15)]]);
        }
        "control" if variant == "branch" => compare(|k| {
            // Calls, so that the compiler cannot make a selection of it.
            [if k[31] & 1 == 1 { odd(k[31]) } else { even(k[31]) }]
        }),
        _ => panic!("no such case: {case}"),
    }
}

/// The scalar and a digest.
fn text_of(k: &[u8; 32]) -> [u8; 64] {
    let mut text = [7; 64];
    text[..32].copy_from_slice(k);
    text
}

#[inline(never)]
fn odd(byte: u8) -> u8 {
    black_box(byte).wrapping_add(1)
}

#[inline(never)]
fn even(byte: u8) -> u8 {
    black_box(byte).wrapping_mul(3)
}

fn main() {
    curve::initialise();
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match arguments[..] {
        ["memcheck", case] => memcheck(case),
        ["dudect", samples] => dudect::run(samples.parse().unwrap()),
        _ => panic!("ct memcheck CASE | ct dudect SAMPLES"),
    }
}
