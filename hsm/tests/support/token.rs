//! A fresh SoftHSM token for one test, in a process of its own: PKCS#11 state is global to a process.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part
#![allow(clippy::print_stdout)] // what the child said is shown where the test's output is

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hsm::*;

/// Set in the process that does the work, to its own directory.
pub const DIRECTORY: &str = "HSM_TEST_DIRECTORY";
pub const LABEL: &str = "test token";

/// What a test body has: a directory of its own, and `SOFTHSM2_CONF` pointing into it.
pub struct Fixture {
    pub directory: PathBuf,
}

/// Runs `body` in a child process that executes only the test `name`.
pub fn isolated(name: &str, body: impl FnOnce(Fixture)) {
    assert!(Path::new(SOFTHSM_MODULE).exists(), "{SOFTHSM_MODULE} is missing: apt-get install -y softhsm2");
    let _limit = test_report::TimeLimit::of_this_test();
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return body(Fixture { directory: directory.into() });
    }
    let directory = tempfile::tempdir().unwrap();
    let output = again(name, directory.path()).output().unwrap();
    let text = text(&output);
    // A misspelt name would run nothing and succeed.
    println!("{text}");
    assert!(output.status.success() && text.contains(" 1 passed;"), "{name}: {}\n{text}", output.status);
}

/// The command that runs `name` on `directory`.
pub fn again(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(DIRECTORY, directory)
        .env("SOFTHSM2_CONF", directory.join("softhsm2.conf"))
        .env("HSM_FAULTS_RULES", directory.join("rules"))
        .env("HSM_FAULTS_LOG", directory.join("module.log"));
    command
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Fixture {
    pub fn plan(&self) -> SofthsmToken {
        SofthsmToken {
            module: SOFTHSM_MODULE.into(),
            layout: SofthsmLayout::own(&self.directory),
            label: LABEL.into(),
            pin_file: self.directory.join("pin"),
            lock_file: self.directory.join("lock"),
        }
    }

    pub fn settings(&self) -> Settings {
        Settings {
            module: SOFTHSM_MODULE.into(),
            initialize_string: None,
            token: TokenSelector::label(LABEL),
            prepared_keys: PreparedKeys::default(),
            scheme: SchemeChoice::Auto,
            location: LocationChoice::Auto,
            records: None,
            pin_file: self.directory.join("pin"),
            refused_pins: None,
            pin_use: PinUse::Careful,
            lock_file: self.directory.join("lock"),
            // One look at the start: the rules of a fault concern the calls that a test makes.
            lease: LeaseSettings { interval: Duration::from_secs(60), ..LeaseSettings::default() },
            softhsm: Some(SofthsmLayout::own(&self.directory)),
            workers: 2,
            queue: 64,
            require_secret_memory: false,
            fault_check: FaultCheck::Linear,
            canary_interval: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(2),
        }
    }

    /// Token, key-encryption key, canary.
    pub fn initialised(&self) -> InitReport {
        make_softhsm_token(&self.plan()).unwrap();
        Enclave::initialise(&self.settings()).unwrap().report
    }

    pub fn open(&self) -> Enclave {
        Enclave::open(self.settings()).unwrap()
    }

    /// The one directory of the token.
    pub fn token_directory(&self) -> PathBuf {
        let mut entries = std::fs::read_dir(self.directory.join("tokens")).unwrap();
        entries.next().unwrap().unwrap().path()
    }
}

/// A directory as the place of wrapped records: one file each, as durable as its rename.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(path: PathBuf) -> std::sync::Arc<Self> {
        std::fs::create_dir_all(&path).unwrap();
        std::sync::Arc::new(Self(path))
    }

    pub fn file(&self, label: &str) -> PathBuf {
        self.0.join(label.replace('/', "_"))
    }
}

fn outside(error: std::io::Error) -> RecordsError {
    RecordsError::Outside(Box::new(error))
}

impl Records for Directory {
    fn find(&self, label: &str) -> Result<Vec<Vec<u8>>, RecordsError> {
        match std::fs::read(self.file(label)) {
            Ok(value) => Ok(vec![value]),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(outside(error)),
        }
    }

    fn scan(&self, each: &mut dyn FnMut(Found<'_>)) -> Result<(), RecordsError> {
        for entry in std::fs::read_dir(&self.0).map_err(outside)? {
            let entry = entry.map_err(outside)?;
            let label = entry.file_name().to_str().unwrap().replace('_', "/");
            each(Found::Value { label: &label, value: &std::fs::read(entry.path()).map_err(outside)? });
        }
        Ok(())
    }

    fn insert(&self, label: &str, value: &[u8]) -> Result<(), RecordsError> {
        let new = self.0.with_extension("new");
        std::fs::write(&new, value).map_err(outside)?;
        std::fs::rename(new, self.file(label)).map_err(outside)
    }

    fn remove_value(&self, label: &str, _: &[u8]) -> Result<(), RecordsError> {
        match std::fs::remove_file(self.file(label)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(outside(error)),
            _ => Ok(()),
        }
    }
}

pub fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

pub fn new_key(owner: u8) -> NewKey {
    NewKey { id: KeyId::random().unwrap(), owner: [owner; 20], name: default_name(), version: 1 }
}

pub fn default_name() -> StoredName {
    StoredName::new("default").unwrap()
}

pub fn create(enclave: &Enclave, key: NewKey) -> PublicKey {
    run(enclave.create(key, soon())).unwrap()
}

/// Whether the product of the generator is the public key: a right signature of a known point.
pub fn signs(enclave: &Enclave, id: KeyId, key: &PublicKey) -> bool {
    run(enclave.scalar_mul(id, G1Point::generator(), soon())).unwrap() == key.g1
}
