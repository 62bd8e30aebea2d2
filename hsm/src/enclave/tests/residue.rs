//! Nothing left behind: another process searches the enclave's whole readable memory for every scalar and the PIN, after
//! signatures, under load and in a core file, and the same scanner finds what is planted for it.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use secrecy::ExposeSecret;
use test_report::Guarantee;

use super::checkpoint_seed::{initialised_without_key_pairs, seed_of};
use super::meddling::each_record;
use super::scanner::{DERIVED_KEY, Hits, SEED, Scanner, may_look};
use super::watched::Watched;
use super::*;
use crate::arena::{Arena, SecretMemory};

const KEYS: usize = 4;

/// The process whose memory is searched: does one thing for each line on its input.
fn victim(fixture: &Fixture) {
    let enclave = fixture.open();
    let ids: Vec<_> = enclave.keys().iter().map(|entry| entry.id).collect();
    let sign = |count: usize| {
        for at in 0..count {
            run(enclave.scalar_mul(ids[at % KEYS], G1Point::generator(), soon())).unwrap();
        }
    };
    let checkpoint = |count: usize| {
        for _ in 0..count {
            enclave.sign_checkpoint(b"a checkpoint\n", soon()).unwrap();
        }
    };
    let mut commands = std::io::stdin().lines();
    loop {
        println!("done");
        std::io::stdout().flush().unwrap();
        match commands.next().unwrap().unwrap().as_str() {
            "one" => {
                sign(1);
                checkpoint(1);
            }
            "many" => {
                sign(10_000);
                checkpoint(500);
            }
            "load" => {
                println!("done");
                std::io::stdout().flush().unwrap();
                std::thread::scope(|scope| {
                    (0..2).for_each(|_| drop(scope.spawn(|| sign(usize::MAX))));
                    scope.spawn(|| checkpoint(usize::MAX));
                });
            }
            "plant" => {
                let scalar = &scalars(fixture, false)[0];
                std::mem::forget(std::hint::black_box(scalar.to_vec()));
            }
            other => panic!("{other}"),
        }
    }
}

/// What an ordinary program does: the scalar in a variable, multiplied by arkworks, over and over.
fn plain_victim(fixture: &Fixture) {
    use ark_ec::{AffineRepr, CurveGroup};
    use ark_ff::PrimeField;
    let scalar = scalars(fixture, false)[0];
    println!("done\ndone");
    std::io::stdout().flush().unwrap();
    loop {
        let k = ark_bn254::Fr::from_be_bytes_mod_order(&scalar);
        let _ = std::hint::black_box((ark_bn254::G1Affine::generator() * k).into_affine());
    }
}

/// The clear scalars of all keys, as only a holder of the PIN can have them; from a file where the token is in use.
fn scalars(fixture: &Fixture, from_token: bool) -> Vec<[u8; 32]> {
    let path = fixture.directory.join("scalars");
    if !from_token {
        let bytes = std::fs::read(path).unwrap();
        return bytes.chunks_exact(32).map(|chunk| chunk.try_into().unwrap()).collect();
    }
    let found = meddle(fixture, |session| {
        let kek = Kek::find(session).unwrap();
        let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
        let mut found = Vec::new();
        each_record(session, |record| {
            let unlocked = wrap::open(session, kek.handle, record, arena.parts().0);
            found.push(unlocked.unwrap().plain_for_test());
        });
        found
    });
    std::fs::write(path, found.concat()).unwrap();
    found
}

fn snapshots() -> usize {
    if std::env::var_os("AVS_KMS_LONG").is_some() { 300 } else { 30 }
}

/// Under load SoftHSM's own heap shows the bytes that it decrypts or derives, for as long as the call lasts.
fn only_softhsms_heap(hits: &Hits) -> bool {
    let passes = |shape: &str| ["scalar, big-endian", DERIVED_KEY, SEED].contains(&shape);
    hits.keys().all(|(shape, place)| passes(shape) && (place == "[heap]" || place == "anonymous"))
}

#[test]
fn no_scalar_and_no_pin_is_left_in_readable_memory() {
    nothing_is_left(
        "no_scalar_and_no_pin_is_left_in_readable_memory",
        SchemeChoice::S1,
        Checkpoints::ByToken,
    );
}

#[test]
fn no_scalar_and_no_derived_key_is_left_in_readable_memory_under_s6() {
    let name = "no_scalar_and_no_derived_key_is_left_in_readable_memory_under_s6";
    nothing_is_left(name, SchemeChoice::S6, Checkpoints::ByToken);
}

#[test]
fn no_scalar_is_left_in_readable_memory_under_s5() {
    let name = "no_scalar_is_left_in_readable_memory_under_s5";
    nothing_is_left(name, SchemeChoice::S5, Checkpoints::ByToken);
}

#[test]
fn no_seed_of_a_checkpoint_key_is_left_in_readable_memory() {
    let name = "no_seed_of_a_checkpoint_key_is_left_in_readable_memory";
    nothing_is_left(name, SchemeChoice::S1, Checkpoints::BySoftware);
}

/// What signs checkpoints meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checkpoints {
    ByToken,
    BySoftware,
}

/// The keys that the token derives for the records of S6.
fn derived_keys(fixture: &Fixture) -> Vec<[u8; 32]> {
    meddle(fixture, |session| {
        let kek = Kek::find(session).unwrap();
        let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
        let mut found = Vec::new();
        each_record(session, |record| {
            found.push(wrap::key_for_test(session, kek.handle, record, arena.parts().0));
        });
        found
    })
}

fn nothing_is_left(name: &str, scheme: SchemeChoice, checkpoints: Checkpoints) {
    isolated(&format!("residue::{name}"), |fixture| {
        match std::env::var("HSM_VICTIM").as_deref() {
            Ok("enclave") => return victim(&fixture),
            Ok(_) => return plain_victim(&fixture),
            Err(_) => {}
        }
        if !may_look() {
            Guarantee::Residue.skipped("needs CAP_SYS_PTRACE to read the memory of the victim");
            return;
        }
        match checkpoints {
            Checkpoints::ByToken => {
                make_softhsm_token(&fixture.plan()).unwrap();
                Enclave::initialise(&Settings { scheme, ..fixture.settings() }).unwrap();
            }
            Checkpoints::BySoftware => initialised_without_key_pairs(&fixture, scheme),
        }
        let enclave = fixture.open();
        if enclave.health().secret_memory != SecretMemory::MemfdSecret {
            Guarantee::Residue.skipped("needs memfd_secret: on this kernel root can read locked pages");
            return;
        }
        (0..KEYS).for_each(|_| {
            create(&enclave, new_key(1));
        });
        enclave.close();
        let mut scanner = Scanner::new();
        let known = scalars(&fixture, true);
        assert_eq!(known.len(), KEYS);
        known.iter().for_each(|scalar| scanner.scalar(scalar));
        if scheme == SchemeChoice::S6 {
            let keys = derived_keys(&fixture);
            assert_eq!(keys.len(), KEYS);
            keys.iter().for_each(|key| scanner.derived_key(key));
        }
        if checkpoints == Checkpoints::BySoftware {
            scanner.seed(&seed_of(&fixture));
        }
        let pin =
            crate::token::pin::read(&fixture.settings().pin_file, SecretMemoryPolicy::PreferSecret).unwrap();
        scanner.pin(pin.expose_secret());

        let mut watched = Watched::start(name, &fixture, "enclave");
        for phase in ["one", "many"] {
            watched.tell(phase);
            let (hits, read) = watched.search(&scanner, true);
            println!("after {phase}: {} hits in {read} bytes", hits.len());
            assert!(hits.is_empty(), "after {phase}: {hits:?}");
        }
        let core = fixture.directory.join("core");
        let dumped = Command::new("gcore").arg("-o").arg(&core).arg(watched.child.id().to_string()).output();
        match dumped {
            Ok(output) if output.status.success() => {
                let (hits, read) = scanner.file(&core.with_file_name(format!("core.{}", watched.child.id())));
                println!("core file: {} hits in {read} bytes", hits.len());
                assert!(hits.is_empty(), "core: {hits:?}");
            }
            other => println!("no gcore here: {other:?}"),
        }
        watched.tell("load");
        let (mut clean, mut softhsm) = (0, 0);
        for _ in 0..snapshots() {
            std::thread::sleep(Duration::from_micros(1700));
            let (hits, _) = watched.search(&scanner, false);
            assert!(only_softhsms_heap(&hits), "under load: {hits:?}");
            if hits.is_empty() { clean += 1 } else { softhsm += 1 }
        }
        println!("under load: {clean} clean snapshots, {softhsm} with bytes in SoftHSM's own heap");
        drop(watched);

        // The scanner finds what is there: a copy that is planted, and a plain implementation every time.
        let mut watched = Watched::start(name, &fixture, "enclave");
        watched.tell("plant");
        assert!(!watched.search(&scanner, true).0.is_empty(), "a planted scalar was not found");
        drop(watched);
        let watched = Watched::start(name, &fixture, "arkworks");
        for snapshot in 0..snapshots() {
            assert!(
                !watched.search(&scanner, false).0.is_empty(),
                "a plain implementation went unseen in {snapshot}"
            );
        }
        println!("control: found in {0} of {0} snapshots of a plain implementation", snapshots());
        Guarantee::Residue.shown();
    });
}
