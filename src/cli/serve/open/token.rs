//! The token of the configuration, as plain values for `hsm`.

use std::path::Path;
use std::sync::Arc;

use crate::cli::error::CliError;
use crate::config::{Configuration, FaultCheck, Location, Scheme, TokenSelector};
use crate::store::SqliteRecords;

/// The enclave's settings, with the place of wrapped records outside the token.
pub(in crate::cli) fn enclave_settings(
    configuration: &Configuration,
    records: Option<Arc<SqliteRecords>>,
) -> hsm::Settings {
    let (pkcs11, enclave) = (&configuration.pkcs11, &configuration.enclave);
    let TokenSelector { label, serial, manufacturer, model, slot } = pkcs11.selector();
    hsm::Settings {
        module: pkcs11.module.clone(),
        initialize_string: pkcs11.initialize_string.clone(),
        token: hsm::TokenSelector { label, serial, manufacturer, model, slot },
        prepared_keys: hsm::PreparedKeys {
            kek: pkcs11.kek_label.clone(),
            checkpoint_key: pkcs11.checkpoint_key_label.clone(),
        },
        scheme: match pkcs11.scheme {
            Scheme::Auto => hsm::SchemeChoice::Auto,
            Scheme::S1 => hsm::SchemeChoice::S1,
            Scheme::S2 => hsm::SchemeChoice::S2,
            Scheme::S5 => hsm::SchemeChoice::S5,
            Scheme::S6 => hsm::SchemeChoice::S6,
        },
        location: match configuration.keys.location {
            Location::Auto => hsm::LocationChoice::Auto,
            Location::Token => hsm::LocationChoice::Token,
            Location::Store => hsm::LocationChoice::Store,
        },
        records: records.map(|records| records as _),
        pin_file: pkcs11.pin_file.clone(),
        refused_pins: Some(configuration.data.refused_pins()),
        pin_use: hsm::PinUse::Careful,
        lock_file: configuration.data.token_lock(),
        lease: hsm::LeaseSettings::default(),
        softhsm: softhsm_layout(configuration),
        workers: enclave.workers,
        queue: enclave.queue_size,
        require_secret_memory: enclave.require_secret_memory,
        fault_check: match enclave.fault_check {
            FaultCheck::Curve => hsm::FaultCheck::Curve,
            FaultCheck::Linear => hsm::FaultCheck::Linear,
        },
        canary_interval: enclave.canary_interval,
        stall_timeout: enclave.stall_timeout,
    }
}

/// Where SoftHSM's tokens are; none where another module is configured.
pub(in crate::cli) fn softhsm_layout(configuration: &Configuration) -> Option<hsm::SofthsmLayout> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let conf = absolute(configuration.pkcs11.softhsm_conf.as_deref()?);
    Some(hsm::SofthsmLayout::of(&conf, &absolute(&configuration.data.directory.join("backup"))))
}

/// The SoftHSM token of the configuration; none where another module is configured.
pub(in crate::cli) fn softhsm_token(
    configuration: &Configuration,
) -> Result<Option<hsm::SofthsmToken>, CliError> {
    let pkcs11 = &configuration.pkcs11;
    let Some(layout) = softhsm_layout(configuration) else { return Ok(None) };
    let Some(label) = pkcs11.selector().label else {
        return Err(CliError::usage(
            "a SoftHSM token is found by its label: set pkcs11.label, not pkcs11.serial",
        ));
    };
    Ok(Some(hsm::SofthsmToken {
        module: pkcs11.module.clone(),
        layout,
        label,
        pin_file: pkcs11.pin_file.clone(),
        lock_file: configuration.data.token_lock(),
    }))
}
