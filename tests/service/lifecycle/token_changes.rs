//! Changes of the PKCS#11 token between two runs of the service: a new PIN, an interrupted `init`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::UserType;

use crate::support::{EOA, Installation, MODULE, process, text};

/// As `pkcs11-tool --change-pin` does it: C_SetPIN.
#[test]
#[ignore = "child process of another test"]
fn change_the_pin() {
    let Some(file) = std::env::var_os("NEW_PIN_FILE").map(PathBuf::from) else { return };
    let old = fs::read_to_string(&file).unwrap().trim().to_owned();
    let module = Pkcs11::new(MODULE).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let session = module.open_rw_session(module.get_slots_with_initialized_token().unwrap()[0]).unwrap();
    session.login(UserType::User, Some(&old.clone().into())).unwrap();
    let new = "a new PIN of thirty-two letters.";
    session.set_pin(&old.into(), &new.into()).unwrap();
    fs::write(file, new).unwrap();
}

#[test]
fn the_copy_of_the_token_object_follows_a_change_of_the_pin() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let key = installation.serve().create(&token, EOA, "default")["g1"].clone();
    let directory = fs::read_dir(installation.data().join("token/tokens")).unwrap().next().unwrap().unwrap();
    let object = directory.path().join("token.object");
    let copy =
        fs::read_dir(installation.data().join("token/backup")).unwrap().next().unwrap().unwrap().path();
    let old = fs::read(&object).unwrap();
    let write = |content: &[u8]| {
        fs::remove_file(&object).unwrap();
        fs::write(&object, content).unwrap();
    };

    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&object, fs::Permissions::from_mode(0o600)).unwrap();
    process::run_child(
        process::child(module_path!(), "change_the_pin")
            .env("NEW_PIN_FILE", installation.data().join("pin"))
            .env("SOFTHSM2_CONF", installation.data().join("token/softhsm2.conf")),
    );
    let new = fs::read(&object).unwrap();
    assert_ne!(new, old);

    // The trap: the copy opens with the old PIN only. Restored after a kill, the token refuses the new one.
    let try_to_serve = || -> Output { installation.run(&["serve"]) };
    write(b"");
    installation.must(&["softhsm", "restore"]);
    let refused = try_to_serve();
    assert!(text(&refused.stderr).contains("PIN"), "{}", text(&refused.stderr));

    // The first start with the new PIN takes a new copy, and makes the file read-only again.
    write(&new);
    let again = try_to_serve();
    assert!(text(&again.stderr).contains("refused this PIN before"), "{}", text(&again.stderr));
    assert!(matches!(installation.run(&["doctor", "--try-pin"]).status.code(), Some(0 | 3)));
    let service = installation.serve();
    assert!(service.start.contains("a new copy"), "{}", service.start);
    assert_eq!(service.stop(), Some(0));
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&object).unwrap());
    assert_eq!(fs::read(copy.with_extension("object.previous")).unwrap(), old);
    assert_eq!(fs::metadata(&object).unwrap().permissions().mode() & 0o777, 0o400);
    write(b"");
    installation.must(&["softhsm", "restore"]);
    let service = installation.serve();
    assert_eq!(service.create(&token, EOA, "default")["g1"], key);
    assert!(!service.start.contains("a new copy"), "{}", service.start);
}

/// A token as an HSM shows it: not made by `init`, and nothing in it can be removed with a directory.
pub(super) struct Hsm {
    token: Installation,
    data: Installation,
}

impl Hsm {
    pub(super) fn new() -> Self {
        let hsm = Self { token: Installation::empty(), data: Installation::empty() };
        fs::create_dir(hsm.token.data()).unwrap();
        make_token(&hsm::SofthsmToken {
            module: MODULE.into(),
            layout: hsm::SofthsmLayout::own(&hsm.token.data().join("token")),
            label: "avs-kms".into(),
            pin_file: hsm.token.data().join("pin"),
            lock_file: hsm.token.data().join("token.lock"),
        });
        hsm
    }

    /// How many objects the token holds, by SoftHSM's files.
    pub(super) fn objects(&self) -> usize {
        let tokens = fs::read_dir(self.token.data().join("token/tokens")).unwrap();
        let files = tokens.flat_map(|token| fs::read_dir(token.unwrap().path()).unwrap());
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".object") && name != "token.object").count()
    }

    pub(super) fn command(&self, arguments: &[&str], rules: &str) -> Command {
        let token = self.token.data().join("token");
        let rule_file = self.token.data().join("rules");
        fs::write(&rule_file, rules).unwrap();
        let mut command = self.data.command(arguments);
        command
            .env("SOFTHSM2_CONF", token.join("softhsm2.conf"))
            .env("AVS_KMS__PKCS11__MODULE", test_report::fault_injection_module(&self.token.data()))
            .env("AVS_KMS__PKCS11__PIN_FILE", self.token.data().join("pin"))
            .env("AVS_KMS__SANDBOX__EXTRA_PATHS", self.token.data())
            .env("HSM_FAULTS_RULES", rule_file);
        command
    }

    pub(super) fn init(&self, arguments: &[&str], rules: &str) -> (Option<i32>, String) {
        let output = process::output(&mut self.command(arguments, rules));
        (output.status.code(), text(&output.stderr))
    }
}

#[test]
fn an_init_that_dies_anywhere_in_the_token_can_be_repeated() {
    // The key-encryption key is made by the second C_GenerateKey, the probe by the first; of the objects the
    // probe is the first, the store key the second, the canary the third, the anchor the fourth.
    for (rules, loses_data) in [
        ("C_GenerateKey kill_post after=1", false),
        ("C_CreateObject kill", false),
        ("C_CreateObject kill_post", false),
        ("C_CreateObject kill after=1", false),
        ("C_CreateObject kill_post after=1", false),
        ("C_CreateObject kill after=2", false),
        ("C_CreateObject kill_post after=2", false),
        ("C_CreateObject kill_post after=3", false),
        ("C_CreateObject kill_post after=2", true),
    ] {
        let hsm = Hsm::new();
        let (code, said) = hsm.init(&["init"], rules);
        assert_eq!(code, None, "{rules}: {said}");
        let served = process::output(&mut hsm.command(&["serve"], ""));
        assert!(text(&served.stderr).contains("Run `avs-kms init` again"), "{}", text(&served.stderr));
        if loses_data {
            // Another installation may be using the token: it is not taken over unasked.
            fs::remove_dir_all(hsm.data.data()).unwrap();
            let (code, said) = hsm.init(&["init"], "");
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("init --resume"), "{said}");
            let (code, said) = hsm.init(&["init", "--resume"], "");
            assert_eq!(code, Some(0), "{said}");
        } else {
            let doctor = process::output(&mut hsm.command(&["doctor"], ""));
            assert!(matches!(doctor.status.code(), Some(0 | 3)), "{}", text(&doctor.stdout));
            let (code, said) = hsm.init(&["init"], "");
            assert_eq!(code, Some(0), "{rules}: {said}");
            // Nothing of the first: the two halves of one pair, one key, canary, store key and anchor.
            assert_eq!(hsm.objects(), 6, "{rules}");
        }
        let made = process::output(&mut hsm.command(&["keys", "create", "--eoa", EOA], ""));
        assert!(made.status.success(), "{}", text(&made.stderr));
        let again = hsm.init(&["init", "--resume"], "");
        assert_eq!(again.0, Some(1), "{again:?}");
    }
}

#[test]
fn an_init_that_fails_leaves_nothing_on_the_disk_or_in_the_token() {
    let hsm = Hsm::new();
    let log = hsm.token.data().join("log");
    fs::create_dir(&log).unwrap();
    fs::write(log.join("of another program"), "").unwrap();
    // Before, in and after the making of the keys: the probe, the canary, the audit log, the anchor.
    for (rules, elsewhere) in [
        ("C_CreateObject rv=0x31", false),
        ("C_CreateObject rv=0x31 after=2", false),
        ("", true),
        ("C_CreateObject rv=0x31 after=3", false),
    ] {
        let mut command = hsm.command(&["init"], rules);
        if elsewhere {
            command.env("AVS_KMS__AUDIT__DIRECTORY", &log);
        }
        let output = process::output(&mut command);
        assert_eq!(output.status.code(), Some(1), "{rules}: {}", text(&output.stderr));
        assert!(!hsm.data.data().exists(), "{rules}: {}", text(&output.stderr));
        assert_eq!(hsm.objects(), 0, "{rules}: {}", text(&output.stderr));
    }
    assert_eq!(fs::read_dir(&log).unwrap().count(), 1);
    let (code, said) = hsm.init(&["init"], "");
    assert_eq!(code, Some(0), "{said}");
    let made = process::output(&mut hsm.command(&["keys", "create", "--eoa", EOA], ""));
    assert!(made.status.success(), "{}", text(&made.stderr));
}

/// In a process of its own.
fn make_token(plan: &hsm::SofthsmToken) {
    process::run_child(
        process::child(module_path!(), "make_the_token")
            .env("TOKEN_DIRECTORY", plan.layout.tokens.parent().unwrap())
            .env("SOFTHSM2_CONF", &plan.layout.configuration),
    );
}

#[test]
#[ignore = "child process of another test"]
fn make_the_token() {
    let Some(directory) = std::env::var_os("TOKEN_DIRECTORY").map(PathBuf::from) else { return };
    let data = directory.parent().unwrap();
    hsm::make_softhsm_token(&hsm::SofthsmToken {
        module: MODULE.into(),
        label: "avs-kms".into(),
        pin_file: data.join("pin"),
        lock_file: data.join("token.lock"),
        layout: hsm::SofthsmLayout::own(&directory),
    })
    .unwrap();
}
