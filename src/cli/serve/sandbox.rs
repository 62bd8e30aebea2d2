//! The sandbox of the configuration: the complete list of what the service reads and writes while it
//! runs.

use std::path::{Path, PathBuf};

use super::open::token::softhsm_layout;
use crate::cli::error::CliError;
use crate::config::{Configuration, SandboxMode};
use crate::sandbox::{self, Profile, Sandbox};

/// A change that makes the service open another file or connection adds it here.
pub(in crate::cli) fn sandbox(configuration: &Configuration) -> Sandbox {
    let Configuration { data, pkcs11, audit, tls, chain, events, telemetry, file, .. } = configuration;
    let above = |path: &Path| path.parent().filter(|it| !it.as_os_str().is_empty()).map(Path::to_owned);
    let beside = |path: &Path| above(path).unwrap_or_else(|| PathBuf::from("."));
    let mut write = vec![data.directory.clone(), audit.directory.clone()];
    let softhsm = softhsm_layout(configuration);
    // Copies beside a shared directory of tokens are in the data directory.
    write.extend(softhsm.iter().map(|layout| match layout.shared {
        true => layout.tokens.clone(),
        false => beside(&layout.configuration),
    }));
    // The service creates and renames these files, so the rule is for their directory.
    write.extend(audit.checkpoint_file.iter().chain(&audit.jsonl_file).map(|path| beside(path)));
    write.extend(configuration.sandbox.extra_paths.iter().cloned());
    let mut read = vec![pkcs11.module.clone(), pkcs11.pin_file.clone()];
    read.extend(softhsm.map(|layout| layout.configuration));
    // Configuration files of the module; what it writes is in `extra_paths`.
    let values = pkcs11.environment.iter().map(|(_, value)| PathBuf::from(value));
    read.extend(values.filter(|value| value.is_absolute()));
    // SIGHUP reads it again after it was replaced, so the rule is for its directory. A file without a
    // directory gets a rule of its own: the working directory stays closed.
    read.extend(file.iter().map(|file| above(file).unwrap_or_else(|| file.clone())));
    read.extend(events.webhook_secret_file.clone());
    if let Some(tls) = tls {
        // Renewed by renaming: a rule for the file would keep the old one.
        let ca = tls.client.as_ref().map(|(ca, _)| ca);
        for path in [&tls.certificate, &tls.key].into_iter().chain(ca) {
            read.push(beside(path));
            // Where it is a link, as of certbot, the next one is beside what it names.
            read.extend(std::fs::canonicalize(path).iter().map(|target| beside(target)));
        }
    }
    Sandbox {
        profile: profile(configuration),
        read,
        write,
        connect: [&chain.rpc_url, &audit.checkpoint_webhook_url, &telemetry.otlp_endpoint]
            .iter()
            .any(|url| url.is_some())
            || !events.webhook_urls.is_empty(),
    }
}

/// The profile of the configuration; `auto` follows from the module.
pub(in crate::cli) fn profile(configuration: &Configuration) -> Profile {
    match configuration.sandbox.mode {
        SandboxMode::Softhsm => Profile::Softhsm,
        SandboxMode::Network => Profile::Network,
        SandboxMode::Off => Profile::Off,
        SandboxMode::Auto if configuration.pkcs11.is_softhsm() => Profile::Softhsm,
        SandboxMode::Auto => Profile::Network,
    }
}

/// Drops privileges, for commands that log in to the token and end.
pub(in crate::cli) fn drop_privileges(configuration: &Configuration) -> Result<(), CliError> {
    if profile(configuration) == Profile::Off {
        return Ok(());
    }
    sandbox::drop_privileges().map_err(|error| CliError::context("cannot drop privileges", &error))
}
