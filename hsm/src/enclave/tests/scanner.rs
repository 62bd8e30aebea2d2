//! Searches the readable memory of another process for secrets in every shape they could have. Test equipment.
#![allow(dead_code)] // the tests of the service use a part of it

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;

use ark_bn254::Fr;
use ark_ec::scalar_mul::glv::GLVConfig;
use ark_ff::{BigInteger, PrimeField};

/// Eight bytes are searched for at every address; any piece of a secret of that length is a hit.
pub(super) struct Scanner {
    first: Vec<bool>,
    pieces: HashMap<[u8; 8], &'static str>,
}

/// As the token writes it.
pub(super) const DERIVED_KEY: &str = "derived key";

pub(super) const SEED: &str = "seed";

/// Where a piece was found, and how often.
pub(super) type Hits = BTreeMap<(&'static str, String), usize>;

/// Whether this process may read the memory of one that is not dumpable: root may, root in a container may not.
pub(super) fn may_look() -> bool {
    const CAP_SYS_PTRACE: u32 = 19; // linux/capability.h
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() >> CAP_SYS_PTRACE & 1 == 1
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self { first: vec![false; 1 << 16], pieces: HashMap::new() }
    }

    fn piece(&mut self, shape: &'static str, bytes: &[u8]) {
        for piece in bytes.chunks_exact(8) {
            let piece: [u8; 8] = piece.try_into().unwrap();
            self.first[usize::from(u16::from_le_bytes([piece[0], piece[1]]))] = true;
            self.pieces.insert(piece, shape);
        }
    }

    fn both_orders(&mut self, big: &'static str, little: &'static str, bytes: &[u8]) {
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        self.piece(big, bytes);
        self.piece(little, &reversed);
    }

    /// A scalar, big-endian: itself, its Montgomery form, its GLV halves and their negatives, each in limbs of both byte
    /// commands, and its hex text.
    pub(super) fn scalar(&mut self, scalar: &[u8; 32]) {
        self.both_orders("scalar, big-endian", "scalar, little-endian", scalar);
        let k = Fr::from_be_bytes_mod_order(scalar);
        let montgomery: Vec<u8> = k.0.0.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        self.both_orders("Montgomery, big-endian", "Montgomery, little-endian", &montgomery);
        let ((_, k1), (_, k2)) = ark_bn254::g1::Config::scalar_decomposition(k);
        for half in [k1, k2] {
            let bytes = half.into_bigint().to_bytes_be();
            let magnitude = u128::from_be_bytes(bytes[16..].try_into().unwrap());
            for value in [magnitude, magnitude.wrapping_neg()] {
                self.both_orders("GLV half, big-endian", "GLV half, little-endian", &value.to_be_bytes());
            }
        }
        self.piece("hex", hex::encode(scalar).as_bytes());
        self.piece("hex", hex::encode_upper(scalar).as_bytes());
    }

    /// The key that a token derived for one record.
    pub(super) fn derived_key(&mut self, key: &[u8; 32]) {
        self.both_orders(DERIVED_KEY, "derived key, little-endian", key);
    }

    /// The seed of a checkpoint key, and both halves of what it expands to (RFC 8032): the scalar and the prefix.
    pub(super) fn seed(&mut self, seed: &[u8; 32]) {
        use sha2::{Digest, Sha512};
        self.both_orders(SEED, "seed, little-endian", seed);
        let mut expanded: [u8; 64] = Sha512::digest(seed).into();
        self.both_orders("expanded seed", "expanded seed, little-endian", &expanded);
        expanded[0] &= 0xf8;
        expanded[31] = expanded[31] & 0x7f | 0x40;
        self.both_orders("clamped seed", "clamped seed, little-endian", &expanded[..32]);
    }

    pub(super) fn pin(&mut self, pin: &[u8]) {
        self.piece("PIN", pin);
        // Also where a freed block's first bytes are gone and the rest is not aligned.
        self.piece("PIN", &pin[4..]);
    }

    fn search(&self, place: &str, bytes: &[u8], hits: &mut Hits) {
        for at in 0..bytes.len().saturating_sub(7) {
            if !self.first[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))] {
                continue;
            }
            let piece: [u8; 8] = bytes[at..at + 8].try_into().unwrap();
            if let Some(shape) = self.pieces.get(&piece) {
                *hits.entry((*shape, place.to_owned())).or_default() += 1;
            }
        }
    }

    /// Every readable mapping of a stopped process; gives the hits and the number of bytes read.
    pub(super) fn process(&self, pid: u32, everything: bool) -> (Hits, usize) {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
        let (mut hits, mut read) = (Hits::new(), 0);
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, access) = (words.next().unwrap(), words.next().unwrap());
            let place = words.nth(3).unwrap_or("anonymous");
            if !access.starts_with('r') || !everything && !access.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let (start, end) =
                (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            // Kernel pages and memfd_secret cannot be read: that is the point of the latter.
            if memory.read_exact_at(&mut bytes, start).is_ok() {
                read += bytes.len();
                self.search(place, &bytes, &mut hits);
            }
        }
        (hits, read)
    }

    pub(super) fn file(&self, path: &std::path::Path) -> (Hits, usize) {
        let bytes = std::fs::read(path).unwrap();
        let mut hits = Hits::new();
        self.search("core file", &bytes, &mut hits);
        (hits, bytes.len())
    }
}
