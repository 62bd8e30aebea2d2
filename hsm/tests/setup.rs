//! Bad set-ups: each is refused with its own sentence, and nothing is changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use hsm::*;

#[path = "support/token.rs"]
mod support;
use support::*;

fn refused(settings: Settings) -> OpenError {
    match Enclave::open(settings) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[test]
fn init_works_once_and_opening_needs_it() {
    isolated("init_works_once_and_opening_needs_it", |fixture| {
        make_softhsm_token(&fixture.plan()).unwrap();
        assert!(matches!(refused(fixture.settings()), OpenError::KekMissing { .. }));
        let made = Enclave::initialise(&fixture.settings()).unwrap().report;
        assert_eq!(made.token_label, LABEL);
        assert_eq!(made.kek_id.len(), 32);
        let again = Enclave::initialise(&fixture.settings()).unwrap_err();
        assert!(matches!(again, OpenError::AlreadyInitialised { .. }), "{again}");
        // Taken over on demand, and as long as no key is in it.
        assert_eq!(Enclave::adopt(&fixture.settings()).unwrap().report, made);
        let enclave = fixture.open();
        assert_eq!(hex::encode(enclave.store_key().installation()), made.installation);
        create(&enclave, new_key(1));
        enclave.close();
        for refused in [Enclave::adopt(&fixture.settings()), Enclave::initialise(&fixture.settings())] {
            assert!(matches!(refused, Err(OpenError::AlreadyInitialised { .. })), "{refused:?}");
        }
    });
}

#[test]
fn a_missing_module_and_a_wrong_label_are_named() {
    isolated("a_missing_module_and_a_wrong_label_are_named", |fixture| {
        fixture.initialised();
        let missing = refused(Settings { module: "/nonexistent/module.so".into(), ..fixture.settings() });
        assert!(missing.to_string().contains("/nonexistent/module.so"), "{missing}");
        let not_a_module =
            refused(Settings { module: "/lib/x86_64-linux-gnu/libc.so.6".into(), ..fixture.settings() });
        assert!(matches!(not_a_module, OpenError::ModuleMissing { .. }), "{not_a_module}");
        let label = TokenSelector::label("another");
        match refused(Settings { token: label, ..fixture.settings() }) {
            OpenError::TokenNotFound { wanted, seen } => {
                assert_eq!(wanted, "label \"another\"");
                assert!(seen.len() == 1 && seen[0].contains(LABEL), "{seen:?}");
            }
            other => panic!("{other}"),
        }
        // By serial it is found, and a wrong serial is not.
        let serial = softhsm_token_objects(&fixture.plan().layout).unwrap()[0].serial.clone();
        Enclave::open(Settings { token: TokenSelector::serial(serial), ..fixture.settings() })
            .unwrap()
            .close();
        let serial = TokenSelector::serial("0000000000000000");
        let wrong = refused(Settings { token: serial, ..fixture.settings() });
        assert!(matches!(wrong, OpenError::TokenNotFound { .. }), "{wrong}");
    });
}

#[test]
fn a_wrong_pin_is_refused_and_the_right_one_works_afterwards() {
    isolated("a_wrong_pin_is_refused_and_the_right_one_works_afterwards", |fixture| {
        fixture.initialised();
        let wrong = fixture.directory.join("wrong");
        fs::write(&wrong, "not the pin at all\n").unwrap();
        fs::set_permissions(&wrong, fs::Permissions::from_mode(0o600)).unwrap();
        let error = refused(Settings { pin_file: wrong, ..fixture.settings() });
        assert!(matches!(error, OpenError::WrongPin), "{error}");
        fixture.open();
    });
}

#[test]
fn a_pin_file_that_others_can_read_is_refused_by_its_mode() {
    isolated("a_pin_file_that_others_can_read_is_refused_by_its_mode", |fixture| {
        fixture.initialised();
        let pin = fixture.directory.join("pin");
        fs::set_permissions(&pin, fs::Permissions::from_mode(0o644)).unwrap();
        let error = refused(fixture.settings());
        assert!(error.to_string().contains("0644"), "{error}");
        fs::remove_file(&pin).unwrap();
        let error = refused(fixture.settings());
        assert!(error.to_string().contains("does not exist"), "{error}");
    });
}

#[test]
fn a_second_user_of_the_token_is_refused_with_the_number_of_the_first() {
    let name = "a_second_user_of_the_token_is_refused_with_the_number_of_the_first";
    isolated(name, |fixture| {
        if std::env::var_os("HSM_SECOND").is_some() {
            match refused(fixture.settings()) {
                OpenError::AlreadyRunning { holder, .. } => println!("held by {}", holder.unwrap()),
                other => panic!("{other}"),
            }
            return;
        }
        fixture.initialised();
        let enclave = fixture.open();
        let output = again(name, &fixture.directory).env("HSM_SECOND", "1").output().unwrap();
        assert!(text(&output).contains(&format!("held by {}", std::process::id())), "{}", text(&output));
        // Making a token and initialising are refused as well: a second login could destroy the token.
        let error = make_softhsm_token(&fixture.plan()).unwrap_err();
        assert!(matches!(error, MakeTokenError::Token(OpenError::AlreadyRunning { .. })), "{error}");
        let error = Enclave::initialise(&fixture.settings()).unwrap_err();
        assert!(matches!(error, OpenError::AlreadyRunning { .. }), "{error}");
        enclave.close();
    });
}

#[test]
fn senseless_settings_are_refused() {
    isolated("senseless_settings_are_refused", |fixture| {
        fixture.initialised();
        assert!(matches!(refused(Settings { workers: 0, ..fixture.settings() }), OpenError::Settings(_)));
        assert!(matches!(refused(Settings { queue: 0, ..fixture.settings() }), OpenError::Settings(_)));
    });
}

#[test]
fn too_little_lockable_memory_is_refused_with_the_limit() {
    let name = "too_little_lockable_memory_is_refused_with_the_limit";
    isolated(name, |fixture| {
        if std::env::var_os("HSM_LIMITED").is_some() {
            let error = refused(fixture.settings());
            println!("refused: {error}: {}", std::error::Error::source(&error).unwrap());
            return;
        }
        if !rustix_is_root() {
            test_report::skipped("needs root to run as another user, whose locked memory is limited");
            return;
        }
        let pin = fixture.directory.join("pin");
        fs::write(&pin, "1234567890\n").unwrap();
        fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
        for path in [&pin, &fixture.directory] {
            std::os::unix::fs::chown(path, Some(65534), None).unwrap();
        }
        let command = again(name, &fixture.directory);
        let mut limited = Command::new("prlimit");
        limited.args(["--memlock=8192:8192", "setpriv", "--reuid=65534", "--clear-groups"]);
        limited.arg(command.get_program()).args(command.get_args()).env("HSM_LIMITED", "1");
        limited.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let output = limited.output().unwrap();
        assert!(text(&output).contains("RLIMIT_MEMLOCK is 8192 bytes"), "{}", text(&output));
    });
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[test]
fn making_a_token_twice_finds_the_first_and_checks_its_pin() {
    isolated("making_a_token_twice_finds_the_first_and_checks_its_pin", |fixture| {
        let plan = fixture.plan();
        let first = make_softhsm_token(&plan).unwrap();
        assert!(first.created);
        let second = make_softhsm_token(&plan).unwrap();
        assert_eq!(second, TokenMade { created: false, ..first });
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&plan.pin_file), 0o600);
        assert_eq!(mode(&plan.layout.tokens), 0o700);
        assert_eq!(fs::read_to_string(&plan.pin_file).unwrap().trim().len(), 32);
        fs::write(&plan.pin_file, "another pin entirely\n").unwrap();
        let error = make_softhsm_token(&plan).unwrap_err();
        assert!(matches!(error, MakeTokenError::Token(OpenError::WrongPin)), "{error}");
    });
}

#[test]
fn incomplete_tokens_are_refused_and_left_as_they_are() {
    isolated("incomplete_tokens_are_refused_and_left_as_they_are", |fixture| {
        let plan = fixture.plan();
        make_softhsm_token(&plan).unwrap();
        let incomplete = || match make_softhsm_token(&plan) {
            Err(MakeTokenError::Incomplete { what }) => what,
            other => panic!("{other:?}"),
        };
        let pin = fs::read(&plan.pin_file).unwrap();
        fs::remove_file(&plan.pin_file).unwrap();
        assert!(incomplete().contains("exists, but not"));
        assert!(!plan.pin_file.exists());
        fs::write(&plan.pin_file, pin).unwrap();
        fs::set_permissions(&plan.pin_file, fs::Permissions::from_mode(0o600)).unwrap();
        let token = fixture.token_directory().join("token.object");
        let whole = fs::read(&token).unwrap();
        fs::write(&token, b"").unwrap();
        assert!(incomplete().contains("holds no readable token"));
        fs::write(&token, whole).unwrap();
        // As after a move of the whole directory.
        let right = fs::read_to_string(&plan.layout.configuration).unwrap();
        fs::write(&plan.layout.configuration, right.replace("tokens", "other")).unwrap();
        assert!(!make_softhsm_token(&plan).unwrap().created);
        assert_eq!(fs::read_to_string(&plan.layout.configuration).unwrap(), right);
        assert!(!make_softhsm_token(&plan).unwrap().created);
    });
}

#[test]
fn an_emptied_token_object_is_noticed_and_its_copy_brings_the_keys_back() {
    isolated("an_emptied_token_object_is_noticed_and_its_copy_brings_the_keys_back", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        let public = create(&enclave, key);
        enclave.close();
        let token = fixture.token_directory().join("token.object");
        // What a kill during C_Login leaves behind.
        fs::write(&token, b"").unwrap();
        assert!(matches!(refused(fixture.settings()), OpenError::TokenNotFound { .. }));
        assert!(softhsm_token_objects(&fixture.plan().layout).unwrap()[0].damaged);
        let restored = restore_softhsm_token(&fixture.plan()).unwrap();
        assert_eq!(restored.len(), 1);
        assert!(!softhsm_token_objects(&fixture.plan().layout).unwrap()[0].damaged);
        assert!(signs(&fixture.open(), key.id, &public));
        assert_eq!(restore_softhsm_token(&fixture.plan()).unwrap(), Vec::<String>::new());
    });
}

#[test]
fn the_script_makes_a_token_that_can_be_initialised_and_no_command_line_shows_a_pin() {
    let name = "the_script_makes_a_token_that_can_be_initialised_and_no_command_line_shows_a_pin";
    isolated(name, |fixture| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../softhsm-config/make-token");
        let call = |label: &str| {
            let mut command = Command::new(script);
            command.env_remove("SOFTHSM2_CONF").env("AVS_KMS_MAKE_TOKEN", env!("CARGO_BIN_EXE_make-token"));
            command.arg("--dir").arg(&fixture.directory).args(["--label", label]);
            command.arg("--pin-file").arg(fixture.directory.join("pin")).output().unwrap()
        };
        let output = call(LABEL);
        assert!(output.status.success() && text(&output).contains("is made"), "{}", text(&output));
        let output = call(LABEL);
        assert!(output.status.success() && text(&output).contains("there already"), "{}", text(&output));
        assert_eq!(call(&"long".repeat(9)).status.code(), Some(1));
        Enclave::initialise(&fixture.settings()).unwrap();
        fs::write(fixture.directory.join("pin"), "a wrong pin\n").unwrap();
        assert_eq!(call(LABEL).status.code(), Some(1));
    });
}

#[test]
fn an_examination_says_what_is_there_and_what_is_missing() {
    isolated("an_examination_says_what_is_there_and_what_is_missing", |fixture| {
        make_softhsm_token(&fixture.plan()).unwrap();
        let before = Enclave::examine(&fixture.settings()).unwrap();
        assert!(!before.is_fit());
        let failed: Vec<_> = before.checks.iter().filter(|check| check.fatal && !check.passed).collect();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert!(failed[0].what.contains("key-encryption key"));
        Enclave::initialise(&fixture.settings()).unwrap();
        let enclave = fixture.open();
        create(&enclave, new_key(1));
        enclave.close();
        let after = Enclave::examine(&fixture.settings()).unwrap();
        assert!(after.is_fit(), "{after:?}");
        assert_eq!((after.keys, after.scheme, after.pin), (1, Some("S1"), "ok"));
        assert!(after.library.contains("PKCS#11 2.40"), "{}", after.library);
        assert_eq!(after.findings, Findings::default());
    });
}

/// The settings of a token behind the fault-injecting module, and its rules.
fn behind(fixture: &Fixture, rules: &str) -> Settings {
    make_softhsm_token(&fixture.plan()).unwrap();
    fs::write(fixture.directory.join("rules"), rules).unwrap();
    let module = test_report::fault_injection_module(&fixture.directory);
    Settings { module, ..fixture.settings() }
}

fn check<'a>(examined: &'a Diagnostics, what: &str) -> &'a DiagnosticCheck {
    examined.checks.iter().find(|check| check.what.contains(what)).unwrap()
}

#[test]
fn a_module_that_wants_a_text_at_its_start_gets_the_one_of_the_settings() {
    isolated("a_module_that_wants_a_text_at_its_start_gets_the_one_of_the_settings", |fixture| {
        let plain = behind(&fixture, "wants_text slow");
        match Enclave::initialise(&plain) {
            Err(OpenError::Token(error)) => {
                let advice = error.advice().unwrap();
                assert!(advice.cure.contains("pkcs11.initialize_string"), "{error}: {advice:?}");
            }
            other => panic!("{other:?}"),
        }
        let initialize_string = Some("configdir='sql:/nowhere' flags=".to_owned());
        let settings = Settings { initialize_string, ..plain };
        Enclave::initialise(&settings).unwrap();
        let enclave = Enclave::open(settings).unwrap();
        let key = new_key(1);
        let public = create(&enclave, key);
        assert!(signs(&enclave, key.id, &public));
    });
}

#[test]
fn a_token_that_denies_having_made_its_key_is_used_with_a_warning() {
    isolated("a_token_that_denies_having_made_its_key_is_used_with_a_warning", |fixture| {
        let settings = behind(&fixture, "not_local slow\nunknown_counts slow");
        Enclave::initialise(&settings).unwrap();
        let enclave = Enclave::open(settings.clone()).unwrap();
        create(&enclave, new_key(1));
        enclave.close();
        let examined = Enclave::examine(&settings).unwrap();
        let made = check(&examined, "made the key-encryption key");
        assert!(examined.is_fit() && !made.passed && made.found.contains("CKA_LOCAL"), "{examined:?}");
        assert_eq!(examined.sessions, "unknown open of unknown; read-write unknown open of unknown");
    });
}

#[test]
fn a_label_that_is_padded_with_rubbish_is_found_by_its_text() {
    isolated("a_label_that_is_padded_with_rubbish_is_found_by_its_text", |fixture| {
        let settings = behind(&fixture, "nul_padded slow");
        Enclave::initialise(&settings).unwrap();
        let examined = Enclave::examine(&settings).unwrap();
        assert_eq!(examined.token_label, LABEL);
        let token = TokenSelector { serial: Some(examined.token_serial), ..TokenSelector::label(LABEL) };
        Enclave::open(Settings { token, ..settings }).unwrap();
    });
}

/// A second token of the same label, as vendors' cloning tools leave one.
#[test]
#[expect(clippy::disallowed_methods, reason = "the second token is another program's")]
fn of_two_tokens_of_one_label_none_is_taken_until_its_serial_is_named() {
    use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
    isolated("of_two_tokens_of_one_label_none_is_taken_until_its_serial_is_named", |fixture| {
        fixture.initialised();
        let first = softhsm_token_objects(&fixture.plan().layout).unwrap()[0].serial.clone();
        let module = Pkcs11::new(SOFTHSM_MODULE).unwrap();
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        let free = *module.get_all_slots().unwrap().last().unwrap();
        module.init_token(free, &"12345678".to_owned().into(), LABEL).unwrap();
        module.finalize().unwrap();
        match refused(fixture.settings()) {
            OpenError::TokenAmbiguous { found, .. } => {
                assert!(found.len() == 2 && found.iter().any(|found| found.contains(&first)), "{found:?}");
            }
            other => panic!("{other}"),
        }
        let named =
            |serial: &str| TokenSelector { serial: Some(serial.into()), ..TokenSelector::label(LABEL) };
        Enclave::open(Settings { token: named(&first), ..fixture.settings() }).unwrap().close();
        let model = TokenSelector { model: Some("SoftHSM v3".into()), ..named(&first) };
        let error = refused(Settings { token: model, ..fixture.settings() });
        assert!(matches!(error, OpenError::TokenNotFound { .. }), "{error}");
        let slot = TokenSelector { slot: Some(999), ..named(&first) };
        let error = refused(Settings { token: slot, ..fixture.settings() });
        assert!(error.to_string().contains("slot 999") && error.to_string().contains(&first), "{error}");
    });
}

#[test]
fn an_empty_slot_is_named_and_a_pin_in_utf_8_opens_the_token_that_fills_it() {
    isolated("an_empty_slot_is_named_and_a_pin_in_utf_8_opens_the_token_that_fills_it", |fixture| {
        let pin = fixture.directory.join("pin");
        fs::write(&pin, "Schlüssel-鍵-0123456789\n").unwrap();
        fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(fixture.directory.join("tokens")).unwrap();
        let conf = format!("directories.tokendir = {}\n", fixture.directory.join("tokens").display());
        fs::write(fixture.directory.join("softhsm2.conf"), conf).unwrap();
        let empty = refused(fixture.settings()).to_string();
        assert!(empty.contains(LABEL) && empty.contains("slot is empty"), "{empty}");
        fixture.initialised();
        fixture.open();
    });
}
