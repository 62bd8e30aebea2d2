//! What `doctor` tries before `init`, and with which settings: where `init` makes SoftHSM's token, the rehearsal makes
//! one in a directory of its own and removes it. Not for the rehearsal in the token: `hsm`.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use hsm::{DiagnosticCheck, KeyId};

use crate::cli::error::CliError;
use crate::cli::init::attempt::{interrupted, remove};
use crate::cli::init::remains::{REHEARSAL, Remains};
use crate::cli::serve::open::token::softhsm_token;
use crate::config::Configuration;

/// What the rehearsal uses.
pub(super) struct Rehearsal {
    /// The installation id of an `init` that was interrupted.
    pub(super) own: Option<KeyId>,
    /// Where it makes SoftHSM's token.
    directory: Option<PathBuf>,
}

impl Rehearsal {
    /// Puts its settings into the configuration. None where `init` has made the store: then the installation itself is
    /// examined.
    pub(super) fn prepare(configuration: &mut Configuration) -> Result<Option<Self>, CliError> {
        if configuration.data.store().exists() {
            return Ok(None);
        }
        let before = interrupted(configuration)?;
        let pkcs11 = &mut configuration.pkcs11;
        let remade = before.is_some_and(|(_, makes_token)| makes_token);
        let is_made = |conf: &PathBuf| remade || !conf.exists();
        let directory = match pkcs11.softhsm_conf.as_ref().filter(|conf| is_made(conf)) {
            None => None,
            Some(_) => {
                let directory = configuration.data.directory.join(REHEARSAL);
                pkcs11.softhsm_conf = Some(directory.join("softhsm2.conf"));
                pkcs11.pin_file = directory.join("pin");
                Some(directory)
            }
        };
        Ok(Some(Self { own: before.map(|(own, _)| own), directory }))
    }

    /// Makes the token of the rehearsal, where it has one.
    pub(super) fn make_token(&self, configuration: &Configuration) -> Result<(), CliError> {
        let (Some(directory), Some(plan)) = (&self.directory, softhsm_token(configuration)?) else {
            return Ok(());
        };
        let made = remove(directory).and_then(|()| fs::DirBuilder::new().mode(0o700).create(directory));
        made.map_err(|error| {
            CliError::context(format!("cannot create {}", directory.display()), &error)
                .with_hint("init would fail too: name a directory that you may write with --data")
        })?;
        hsm::make_softhsm_token(&plan)
            .map(drop)
            .map_err(|error| CliError::context("cannot create a SoftHSM token", &error))
    }
}

/// Removes the token of a rehearsal, also of one that was killed.
pub(super) fn clean_up(configuration: &Configuration) -> Result<(), CliError> {
    let directory = configuration.data.directory.join(REHEARSAL);
    remove(&directory).map_err(|error| {
        CliError::context(format!("cannot remove {}, the token of a rehearsal", directory.display()), &error)
    })
}

/// What the disk holds, and whether `init` takes it.
pub(super) fn checks(configuration: &Configuration) -> io::Result<[DiagnosticCheck; 2]> {
    let remains = Remains::of(configuration)?;
    let directory = &configuration.data.directory;
    let is_interrupted = remains == Remains::Interrupted;
    let free = match remains.refusal(directory) {
        Some(refusal) => Err(refusal),
        None if is_interrupted => Ok("init removes what one left that was interrupted".to_owned()),
        None => Ok(directory.display().to_string()),
    };
    let log = &configuration.audit.directory;
    let log = match is_interrupted || log_is_free(log)? {
        true => Ok(log.display().to_string()),
        false => Err(format!(
            "{} is not empty: an audit log of another installation? Name another with audit.directory",
            log.display()
        )),
    };
    let check = |what, result: Result<String, String>| {
        let (passed, found) = (result.is_ok(), result.unwrap_or_else(|found| found));
        DiagnosticCheck { what, passed, fatal: true, found }
    };
    Ok([check("the data directory is free for init", free), check("the audit log has a place", log)])
}

fn log_is_free(directory: &Path) -> io::Result<bool> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
