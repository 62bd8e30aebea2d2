#![allow(clippy::unwrap_used, reason = "a failing test should panic")]

use super::*;

fn from_text(text: &str) -> Result<Configuration, ConfigErrors> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("avs-kms.toml");
    std::fs::write(&file, text).unwrap();
    load(Some(&file), &[])
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let configuration = from_text("").unwrap();
    assert_eq!(configuration.server.listen.to_string(), "127.0.0.1:8254");
    assert_eq!(configuration.data.directory, Path::new("/var/lib/avs-kms"));
    assert_eq!(
        configuration.pkcs11.selector(),
        TokenSelector { label: Some("avs-kms".into()), ..TokenSelector::default() }
    );
    assert_eq!(configuration.pkcs11.pin_file, Path::new("/var/lib/avs-kms/pin"));
    assert_eq!(
        configuration.pkcs11.softhsm_conf.as_deref(),
        Some(Path::new("/var/lib/avs-kms/token/softhsm2.conf"))
    );
    assert_eq!(configuration.audit.directory, Path::new("/var/lib/avs-kms/audit"));
    assert_eq!(configuration.enclave.fault_check, FaultCheck::Linear);
    assert!(configuration.enclave.workers >= 1);
}

#[test]
fn a_flag_beats_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.toml");
    std::fs::write(&file, "[server]\nlisten = \"127.0.0.1:1\"\n[data]\ndirectory = \"/a\"").unwrap();
    let flags = [("server.listen", "127.0.0.1:2".to_owned())];
    let configuration = load(Some(&file), &flags).unwrap();
    assert_eq!(configuration.server.listen.port(), 2);
    assert_eq!(configuration.data.directory, Path::new("/a"));
    assert_ne!(configuration.digest, load(Some(&file), &[]).unwrap().digest);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_setting() {
    let mistakes = from_text(
        "[server]\nlisten = \"nowhere\"\nrequest_deadline = \"0s\"\nmax_connections = 0\ntypo = 1\n\
         [enclave]\nfault_check = \"none\"\nqueue_size = -1\n[log]\nformat = [1]\n[colour]\nred = true\n\
         [pkcs11]\nlabel = \"\"\nslot_id = \"-1\"\nkek_label = \"a\\nb\"",
    )
    .unwrap_err()
    .to_string();
    for key in [
        "server.listen",
        "server.request_deadline",
        "server.max_connections",
        "server.typo",
        "enclave.fault_check",
        "enclave.queue_size",
        "log.format",
        "colour.red",
        "pkcs11.label",
        "pkcs11.slot_id",
        "pkcs11.kek_label",
    ] {
        assert!(mistakes.contains(&format!("  {key}: ")), "{key} is not in:\n{mistakes}");
    }
}

#[test]
fn proxies_are_networks_and_a_header_of_theirs_needs_one() {
    let server = |lines: &str| from_text(&format!("[server]\n{lines}"));
    let trusted =
        server("trusted_proxies = [\"10.1.0.0/16\", \"fd00::/8\"]\nproxy_protocol = \"v2\"").unwrap();
    assert_eq!((trusted.server.trusted_proxies.len(), trusted.server.proxy_protocol), (2, ProxyProtocol::V2));
    for wrong in ["10.1.0.0", "10.1.0.1/16", "0.0.0.0/0", "::/0", "proxy.internal", ""] {
        let mistakes = server(&format!("trusted_proxies = [\"{wrong}\"]")).unwrap_err().to_string();
        assert!(mistakes.contains("server.trusted_proxies: "), "{wrong}: {mistakes}");
    }
    let mistakes = server("proxy_protocol = \"v2\"").unwrap_err().to_string();
    assert!(mistakes.contains("set server.trusted_proxies"), "{mistakes}");
    assert!(server("proxy_protocol = \"v1\"").is_err());
}

#[test]
fn a_label_shows_what_it_holds() {
    assert!(from_text("[pkcs11]\nlabel = \"Schlüssel 1\"").is_ok());
    for hidden in ["avs\\u200bkms", "\\u202esmk-sva", "avs\\nkms", "\\u0000", &"x".repeat(33)] {
        let mistakes = from_text(&format!("[pkcs11]\nlabel = \"{hidden}\"")).unwrap_err().to_string();
        assert!(mistakes.contains("pkcs11.label: "), "{hidden}: {mistakes}");
    }
}

#[test]
fn plain_http_beyond_loopback_is_refused() {
    let mistakes = from_text("[server]\nlisten = \"0.0.0.0:8254\"").unwrap_err().to_string();
    assert!(mistakes.contains("loopback"), "{mistakes}");
}

#[test]
fn a_named_file_must_exist_and_be_toml() {
    assert!(load(Some(Path::new("/nowhere/avs-kms.toml")), &[]).is_err());
    assert!(from_text("listen = ").is_err());
}

#[test]
fn a_token_can_be_named_by_serial_alone() {
    let configuration = from_text("[pkcs11]\nserial = \"1f\"").unwrap();
    assert_eq!(
        configuration.pkcs11.selector(),
        TokenSelector { serial: Some("1f".into()), ..TokenSelector::default() }
    );
}

#[test]
fn another_vendors_module_has_no_softhsm_configuration() {
    let configuration = from_text("[pkcs11]\nmodule = \"/opt/vendor/libpkcs11.so\"").unwrap();
    assert_eq!(configuration.pkcs11.softhsm_conf, None);
}

#[test]
fn a_token_is_named_by_a_uri_or_by_label_serial_and_slot() {
    let pkcs11 = |lines: &str| from_text(&format!("[pkcs11]\n{lines}"));
    let uri = pkcs11("uri = \"pkcs11:token=Rack%201;slot-id=3\"").unwrap().pkcs11.selector();
    assert_eq!((uri.label.as_deref(), uri.slot), (Some("Rack 1"), Some(3)));
    let both = pkcs11("label = \"a\"\nserial = \"b\"\nslot_id = 0").unwrap().pkcs11.selector();
    assert_eq!((both.label.as_deref(), both.serial.as_deref(), both.slot), (Some("a"), Some("b"), Some(0)));
    for (wrong, reason) in [
        ("slot_id = 3", "pkcs11.slot_id: a slot number changes"),
        ("uri = \"pkcs11:token=a\"\nlabel = \"a\"", "leave out pkcs11.label"),
        ("uri = \"pkcs11:token=a\"\nslot_id = 1", "leave out pkcs11.label"),
        ("uri = \"pkcs11:slot-id=1\"", "pkcs11.uri: it has neither"),
        ("uri = \"pkcs11:token=a?pin-value=1234secret\"", "pkcs11.uri: `pin-value`"),
        ("serial = \"12345678901234567\"", "pkcs11.serial: "),
    ] {
        let mistakes = pkcs11(wrong).unwrap_err().to_string();
        assert!(mistakes.contains(reason) && !mistakes.contains("1234secret"), "{wrong}: {mistakes}");
    }
}

#[test]
fn the_module_gets_its_environment_and_no_error_repeats_a_value() {
    let pkcs11 = |lines: &str| from_text(&format!("[pkcs11]\n{lines}"));
    let given = pkcs11("environment = [\"A=b=c\", \"D=\"]\ninitialize_string = \"configdir='sql:/x'\"");
    let given = given.unwrap().pkcs11;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(given.environment, [pair("A", "b=c"), pair("D", "")]);
    assert_eq!(given.initialize_string.as_deref(), Some("configdir='sql:/x'"));
    for wrong in [
        "environment = [\"LD_PRELOAD=1234secret\"]",
        "environment = [\"A=1234secret\", \"A=2\"]",
        "environment = \"A=1234secret\"",
        "initialize_string = \"a\\u0000b\"",
    ] {
        let mistakes = pkcs11(wrong).unwrap_err().to_string();
        assert!(mistakes.contains("pkcs11.") && !mistakes.contains("1234secret"), "{wrong}: {mistakes}");
    }
}
