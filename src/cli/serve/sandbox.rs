//! From the configuration to the sandbox: the one list of what the service reads and writes while it runs.

use std::path::{Path, PathBuf};

use crate::cli::error::Failed;
use crate::config::{self, Configuration};
use crate::sandbox::{self, Profile, Sandbox};

/// Whoever makes the service open another file or connection names it here.
pub(in crate::cli) fn sandbox(configuration: &Configuration) -> Sandbox {
    let Configuration { data, token, enclave, audit, tls, chain, events, telemetry, file, .. } =
        configuration;
    let above = |path: &Path| path.parent().filter(|it| !it.as_os_str().is_empty()).map(Path::to_owned);
    let beside = |path: &Path| above(path).unwrap_or_else(|| PathBuf::from("."));
    let mut write = vec![data.directory.clone(), audit.directory.clone()];
    write.extend(token.softhsm_conf.as_deref().map(beside));
    // These are made, renamed and rotated.
    write.extend(audit.checkpoint_files.iter().chain(&audit.mirror).map(|path| beside(path)));
    write.extend(enclave.sandbox_paths.iter().cloned());
    let mut read = vec![token.module.clone(), token.pin_file.clone()];
    // Read again on SIGHUP, renewed by renaming; but nobody's working directory for it.
    read.extend(file.iter().map(|file| above(file).unwrap_or_else(|| file.clone())));
    read.extend(events.webhook_secret_file.clone());
    if let Some(tls) = tls {
        // Renewed by renaming: a rule for the file would stay with the old one.
        let ca = tls.client.as_ref().map(|(ca, _)| ca);
        read.extend([&tls.certificate, &tls.key].into_iter().chain(ca).map(|path| beside(path)));
    }
    Sandbox {
        profile: profile(configuration),
        read,
        write,
        connect: [&chain.rpc_url, &audit.webhook, &telemetry.otlp_endpoint].iter().any(|url| !url.is_empty())
            || !events.webhook_urls.is_empty(),
    }
}

/// The profile that is configured or follows from the module.
pub(in crate::cli) fn profile(configuration: &Configuration) -> Profile {
    match configuration.enclave.sandbox {
        config::Sandbox::Softhsm => Profile::Softhsm,
        config::Sandbox::Network => Profile::Network,
        config::Sandbox::Off => Profile::Off,
        config::Sandbox::Auto if configuration.token.is_softhsm() => Profile::Softhsm,
        config::Sandbox::Auto => Profile::Network,
    }
}

/// For the commands that log in to the token and end: what they need not have.
pub(in crate::cli) fn drop_privileges(configuration: &Configuration) -> Result<(), Failed> {
    if profile(configuration) == Profile::Off {
        return Ok(());
    }
    sandbox::drop_privileges().map_err(|error| Failed::while_trying("cannot confine this process", &error))
}
