//! Settings of the enclave over an installation of SoftHSM, for tests that open it without the program.

use std::path::Path;
use std::time::Duration;

pub(crate) fn softhsm(data: &Path) -> hsm::Settings {
    hsm::Settings {
        module: "/usr/lib/softhsm/libsofthsm2.so".into(),
        initialize_string: None,
        token: hsm::TokenSelector::label("avs-kms"),
        prepared_keys: hsm::PreparedKeys::default(),
        scheme: hsm::SchemeChoice::Auto,
        location: hsm::LocationChoice::Auto,
        records: None,
        pin_file: data.join("pin"),
        refused_pins: None,
        pin_use: hsm::PinUse::Careful,
        lock_file: data.join("token.lock"),
        softhsm: Some(hsm::SofthsmLayout::own(&data.join("token"))),
        workers: 1,
        queue: 16,
        require_secret_memory: false,
        fault_check: hsm::FaultCheck::Linear,
        canary_interval: Duration::from_secs(600),
        lease: hsm::LeaseSettings::default(),
        stall_timeout: Duration::from_secs(60),
    }
}
