//! Two services at one token: a copy of the data directory, a killed service, another installation.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::UserType;

use crate::support::{EOA, Installation, MODULE, Running, process, text};

/// A copy of the data directory that uses the token of the original.
fn copy_of(original: &Installation) -> Installation {
    let copy = Installation::empty();
    let copied = Command::new("cp").arg("-a").args([original.data(), copy.data()]).status().unwrap();
    assert!(copied.success());
    copy
}

/// As an HSM: SoftHSM without a directory that `init` protects and the service locks.
fn at_token_of(original: &Installation, command: &mut Command) {
    let data = original.data();
    let token = std::fs::read_dir(data.join("token/tokens")).unwrap().next().unwrap().unwrap().path();
    // A login may write to it, as in an HSM. Otherwise SoftHSM does not see what other processes write.
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(token.join("token.object"), writable).unwrap();
    command
        .env("SOFTHSM2_CONF", data.join("token/softhsm2.conf"))
        .env("AVS_KMS__PKCS11__MODULE", test_report::fault_injection_module(&data))
        .env("AVS_KMS__PKCS11__PIN_FILE", data.join("pin"))
        .env("AVS_KMS__SANDBOX__EXTRA_PATHS", &data)
        .env("HSM_FAULTS_RULES", data.join("rules"));
}

fn serve(installation: &Installation, at: &Installation) -> Running {
    installation.serve_with(|command| at_token_of(at, command))
}

#[test]
fn a_softhsm_directory_is_refused_to_a_second_service_whatever_its_data_directory() {
    let original = Installation::new();
    let copy = copy_of(&original);
    let service = original.serve();
    let tokens = original.data().join("token");
    let mut command = copy.command(&["serve"]);
    command
        .env("AVS_KMS__PKCS11__SOFTHSM_CONF", tokens.join("softhsm2.conf"))
        .env("AVS_KMS__SANDBOX__EXTRA_PATHS", &tokens);
    let refused = process::output(&mut command);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains("in use by another process") && said.contains("stop that one"), "{said}");
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn a_copy_of_the_data_directory_is_refused_at_the_token_of_a_running_service() {
    let original = Installation::new();
    let token = original.token(EOA);
    let copy = copy_of(&original);
    let service = serve(&original, &original);
    let pid = service.id().to_string();
    let run = |arguments: &[&str]| {
        let mut command = copy.command(arguments);
        at_token_of(&original, &mut command);
        let output = process::output(&mut command);
        (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let (code, said) = run(&["serve"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains(&format!("in use by process {pid}")) && said.contains("stop that one"), "{said}");
    assert!(service.log().contains("another process wants the token"), "the holder says nothing");
    let (code, said) = run(&["keys", "list", "--eoa", EOA]);
    assert_eq!(code, Some(5), "{said}");
    // `doctor` shows it and takes nothing.
    let (code, said) = run(&["doctor"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&format!("WARN     no other process has the token: process {pid}")), "{said}");
    service.create(&token, EOA, "after");
    assert_eq!(service.get("/readyz", None).status, 200);
    assert_eq!(service.stop(), Some(0));
    let (_, said) = run(&["doctor"]);
    assert!(said.contains("ok       no other process has the token: no process has its lease"), "{said}");
}

#[test]
fn a_killed_service_starts_again_at_once_and_its_copy_after_a_wait() {
    let original = Installation::new();
    let token = original.token(EOA);
    serve(&original, &original).kill();
    let began = Instant::now();
    let service = serve(&original, &original);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(!service.start.contains("waiting for its answer"), "{}", service.start);
    let (pid, key) = (service.id().to_string(), service.create(&token, EOA, "default"));
    service.kill();
    let copy = copy_of(&original);
    let service = serve(&copy, &original);
    assert!(service.start.contains("waiting for its answer"), "{}", service.start);
    assert_eq!(service.create(&token, EOA, "default")["g1"], key["g1"]);
    assert_eq!(service.stop(), Some(0));
    let records = copy.records_of("hsm.taken_over");
    assert_eq!(records.len(), 1, "{records:?}");
    let holder = records[0]["input"]["fields"]["holder"].as_str().unwrap();
    assert!(holder.starts_with(&format!("process {pid} on host")), "{holder}");
}

#[test]
fn a_token_of_another_installation_is_taken_over_by_name_alone() {
    let installation = Installation::new();
    process::run_child(
        process::child(module_path!(), "write_a_lease")
            .env("PIN_FILE", installation.data().join("pin"))
            .env("SOFTHSM2_CONF", installation.data().join("token/softhsm2.conf")),
    );
    let mut command = installation.command(&["serve"]);
    at_token_of(&installation, &mut command);
    let refused = process::output(&mut command);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains("another installation") && said.contains(OTHER), "{said}");
    assert!(said.contains("once with `--take-over-token`"), "{said}");
    let service = installation.serve_with(|command| {
        command.arg("--take-over-token");
        at_token_of(&installation, command);
    });
    assert_eq!(service.stop(), Some(0));
    let records = installation.records_of("hsm.taken_over");
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["input"]["fields"]["why"], "--take-over-token");
    assert_eq!(serve(&installation, &installation).stop(), Some(0));
}

const OTHER: &str = "0909090909090909090909090909aa09";

/// As a service of another installation leaves it.
#[test]
#[ignore = "child process of another test"]
fn write_a_lease() {
    let Some(file) = std::env::var_os("PIN_FILE").map(PathBuf::from) else { return };
    let pin = std::fs::read_to_string(file).unwrap().trim().to_owned();
    let module = Pkcs11::new(MODULE).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let session = module.open_rw_session(module.get_slots_with_initialized_token().unwrap()[0]).unwrap();
    session.login(UserType::User, Some(&pin.into())).unwrap();
    let process = "00".repeat(16);
    let value = format!("avs-kms lease 1\n{OTHER}\n{process}\nboot\n1:2\n3\nother-host\n");
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Label(b"lease/1".to_vec()),
        Attribute::Application(b"avs-kms/1".to_vec()),
        Attribute::Value(value.into_bytes()),
    ];
    session.create_object(&template).unwrap();
}
