//! The short form of the fuzz target `audit_reader` (`fuzz/`): a corpus, and random changes of it from a fixed seed.
//!

//! `AVS_KMS_LONG=1`: 200,000 inputs instead of 3,000.

use crate::support::any_bytes;

/// Inputs that reach something each.
fn corpus() -> Vec<Vec<u8>> {
    let note = "example.test/log\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} example.test/log AAAAAAAA\n";
    let proof = format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{note}");
    let past = format!("12:{}", "ab".repeat(32));
    let mut corpus: Vec<Vec<u8>> = (0..3).map(|kind| vec![kind]).collect();
    for kind in 0..3 {
        // A record's byte, a frame's length, its count, its first number, a sector of zeros, a short file.
        for change in [
            [0x11, 0, 0, 0],
            [0x10, 28, 0, 9],
            [0x10, 27, 0, 200],
            [0x10, 39, 1, 0],
            [0x14, 0, 2, 0],
            [0, 0, 3, 90],
        ] {
            corpus.push([&[kind], &change[..]].concat());
        }
    }
    // A frame of no records with a body that is not whole, found by the long form.
    corpus.push(vec![1, 0x10, 27, 0, 0, 0x13, 0x77, 0, 220]);
    let packed = zstd::encode_all(&[0_u8; 4096][..], 3).unwrap();
    corpus.push([&[3], &packed[..]].concat());
    corpus.extend(
        [note, &proof, &past, "00112233445566778899aabbccddeeff"]
            .map(|text| [&[4], text.as_bytes()].concat()),
    );
    corpus
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64*, enough to be different.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }
}

/// Says which input it was when the reader panics.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input: {:?}", self.0);
        }
    }
}

#[test]
fn no_bytes_make_a_reader_panic_or_give_out_a_record_that_was_never_written() {
    let directory = tempfile::tempdir().unwrap();
    let corpus = corpus();
    corpus.iter().for_each(|input| any_bytes::read(directory.path(), input));
    let mut random = Random(0x5eed);
    let count = if std::env::var_os("AVS_KMS_LONG").is_some() { 200_000 } else { 3_000 };
    for _ in 0..count {
        let mut input = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(6) {
            let at = random.below(input.len() + 1);
            match random.below(3) {
                0 if at < input.len() => input[at] = random.below(256) as u8,
                1 if at < input.len() => drop(input.remove(at)),
                _ => input.insert(at, random.below(256) as u8),
            }
        }
        let input = Shown(&input);
        any_bytes::read(directory.path(), input.0);
    }
}
