//! `examples/txtx/rotate-key`, unchanged: the three steps of a rotation, as far as they talk to the key service.

#[path = "../../live.rs"]
mod live;

use std::path::Path;

use avs_kms_txtx::run;
use live::{Installation, SCOPES};
use serde_json::Value;

const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const REGISTRAR: &str = "0xA4dB30D08d8bbcA00D40600bee9F029984dB162a";
const AVS: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

#[tokio::test(flavor = "multi_thread")]
async fn the_three_steps_of_a_rotation_leave_a_new_key_current_and_the_old_one_retiring() {
    let installation = Installation::new();
    let service = installation.serve(&[]);
    let token = installation.token(EOA, SCOPES);
    let rotator = installation.token(EOA, &["keys:read", "keys:rotate", "sign:typed"]);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/txtx");
    let step = async |name: &str, token: &str| -> Result<Value, String> {
        let inputs = [
            ("kms_url", service.url.as_str()),
            ("kms_token", token),
            ("operator", EOA),
            ("key_name", "my-avs.set-7"),
            ("chain_id", "11155111"),
            ("key_registrar", REGISTRAR),
            ("avs", AVS),
            ("operator_set_id", "7"),
            ("new_version", "2"),
        ];
        run(&directory.join(name).join("kms.tx"), &inputs).await
    };

    // Nothing to rotate yet, and not with a token for anything else.
    assert!(
        step("rotate-key/leave", &rotator).await.unwrap_err().contains("this EOA has no key of this name")
    );
    let first = step("register-key-registrar/runbook", &token).await.unwrap();
    assert!(step("rotate-key/leave", &token).await.unwrap_err().contains("keys:rotate"));
    assert!(step("rotate-key/switch", &rotator).await.unwrap_err().contains("the key has no such version"));
    assert!(step("rotate-key/activate", &rotator).await.unwrap_err().contains("the key has no such version"));

    let left = step("rotate-key/leave", &rotator).await.unwrap();
    assert_eq!(left["new_version"]["value"], 2, "{left}");
    assert_ne!(left["new_key_hash"]["value"], first["key_hash"]["value"]);
    assert_eq!(
        step("rotate-key/leave", &rotator).await.unwrap(),
        left,
        "a repeated step makes another version"
    );
    let switched = step("rotate-key/switch", &rotator).await.unwrap();
    assert_eq!(switched["new_key_hash"]["value"], left["new_key_hash"]["value"]);
    for _ in 0..2 {
        let active = step("rotate-key/activate", &rotator).await.unwrap();
        let outputs =
            [&active["current_version"], &active["state"], &active["old_state"]].map(|it| &it["value"]);
        assert_eq!(outputs, [&Value::from(2), &"active".into(), &"retiring".into()], "{active}");
    }
}
