//! What the PKCS#11 module gets of the settings: its environment, and the text of C_Initialize.

use std::fs;
use std::process::Command;

use crate::support::{EOA, Installation, process, text};

const SECRET: &str = "address-with-credentials-1234";

/// The installation's token behind the fault-injecting module with these rules.
fn behind(installation: &Installation, rules: &str) -> impl Fn(&mut Command) {
    let shim = installation.data().join("shim");
    fs::create_dir_all(&shim).unwrap();
    fs::write(shim.join("rules"), rules).unwrap();
    let module = test_report::fault_injection_module(&shim);
    let conf = installation.data().join("token/softhsm2.conf");
    move |command| {
        command
            .env("AVS_KMS__PKCS11__MODULE", &module)
            .env("AVS_KMS__PKCS11__SOFTHSM_CONF", &conf)
            .env("HSM_FAULTS_RULES", shim.join("rules"));
    }
}

fn refused(installation: &Installation, change: impl Fn(&mut Command)) -> String {
    let mut command = installation.command(&["serve"]);
    change(&mut command);
    let output = process::output(&mut command);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn the_module_finds_its_variables_and_no_log_shows_them() {
    let installation = Installation::new();
    let behind = behind(&installation, "wants_variable slow");
    let said = refused(&installation, &behind);
    assert!(said.contains("C_Initialize answered CKR_GENERAL_ERROR"), "{said}");
    let with_variable = |command: &mut Command| {
        behind(command);
        command.env("AVS_KMS__PKCS11__ENVIRONMENT", format!("HSM_FAULTS_WANTED={SECRET},OTHER=b"));
    };
    let token = installation.token(EOA);
    let service = installation.serve_with(with_variable);
    service.create(&token, EOA, "default");
    let environment = fs::read(format!("/proc/{}/environ", service.id())).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    let has = |variable: &str| environment.split('\0').any(|own| own == variable);
    assert!(has(&format!("HSM_FAULTS_WANTED={SECRET}")) && has("OTHER=b"), "{environment}");
    assert!(!service.start.contains(SECRET) && !service.log().contains(SECRET), "{}", service.start);
    assert_eq!(service.stop(), Some(0));
    assert!(installation.records().iter().all(|record| !record.to_string().contains(SECRET)));
    // An error of the settings shows no value.
    let mut command = installation.command(&["serve"]);
    command.env("AVS_KMS__PKCS11__ENVIRONMENT", format!("LD_PRELOAD={SECRET}"));
    let output = process::output(&mut command);
    let said = text(&output.stderr);
    assert!(said.contains("pkcs11.environment") && !said.contains(SECRET), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_module_gets_its_text_at_each_initialisation() {
    let installation = Installation::new();
    let behind = behind(&installation, "wants_text slow");
    let said = refused(&installation, &behind);
    assert!(said.contains("CKR_ARGUMENTS_BAD") && said.contains("pkcs11.initialize_string"), "{said}");
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        behind(command);
        command.env("AVS_KMS__PKCS11__INITIALIZE_STRING", "configdir='sql:/nowhere' flags=");
    });
    service.create(&token, EOA, "default");
    // Recovery initialises the module again.
    fs::write(
        installation.data().join("shim/rules"),
        "wants_text slow\nC_DecryptInit rv=0x190 times=1\nC_SignInit rv=0x190 times=1",
    )
    .unwrap();
    service.post("/v1/keys", Some(&token), &serde_json::json!({"eoa": EOA, "name": "second"}));
    crate::support::until("the service is ready again", || {
        service.get("/readyz", None).status == 200
            && service
                .post("/v1/keys", Some(&token), &serde_json::json!({"eoa": EOA, "name": "second"}))
                .status
                < 300
    });
}

/// A minimal image has no certificate authorities; the local socket needs none.
#[test]
fn commands_reach_the_running_service_on_a_host_without_certificate_authorities() {
    let installation = Installation::new();
    let nothing = tempfile::tempdir().unwrap();
    let without = |command: &mut Command| {
        command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", nothing.path());
    };
    let service = installation.serve_with(without);
    for arguments in [
        &["access-token", "issue", "--eoa", EOA, "--ttl", "1h", "--scope", "keys:read"][..],
        &["keys", "list", "--eoa", EOA],
        &["health"],
    ] {
        let mut command = installation.command(arguments);
        without(&mut command);
        let output = process::output(&mut command);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(service.stop(), Some(0));
}
