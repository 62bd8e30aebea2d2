//! What a move works on: two configurations over one data directory, locked, with the service stopped. Not for the order
//! of the steps.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::auth::InstallationId;
use crate::cli::error::CliError;
use crate::cli::init::remains::explain_missing;
use crate::cli::output::say;
use crate::cli::serve::accepted::Accepted;
use crate::cli::serve::data_lock::DataLock;
use crate::cli::serve::open::environment::with_module_environments;
use crate::cli::serve::open::token::{enclave_settings, softhsm_token};
use crate::cli::serve::open::{Needs, Opened, open, store_file};
use crate::cli::serve::sandbox::drop_privileges;
use crate::config::Configuration;
use crate::key::{KeyVersion, LifecycleState};
use crate::service::{Publish, public_key_of};
use crate::store::SqliteRecords;
use hsm::{KeyId, Rewrap};

/// Both sides and their locks.
pub(super) struct TwoSides<'a> {
    pub(super) old: &'a Configuration,
    pub(super) new: &'a Configuration,
    pub(super) installation: InstallationId,
    pub(super) runtime: Runtime,
    records: Arc<SqliteRecords>,
    _lock: DataLock,
}

impl<'a> TwoSides<'a> {
    /// Compares the configurations, takes the lock and makes the new token where it is SoftHSM's.
    pub(super) fn begin(old: &'a Configuration, new: &'a Configuration) -> Result<Self, CliError> {
        compare(old, new)?;
        let data = &old.data;
        if !data.store().exists() {
            let failed = CliError::new(format!("{} is not a data directory", data.directory.display()));
            return Err(explain_missing(old, failed));
        }
        with_module_environments(old, new)?;
        let held = DataLock::acquire(data)?;
        let _lock = held.map_err(|held| held.error(data).with_hint("stop the service first"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| CliError::context("cannot start threads", &error))?;
        if let Some(plan) = softhsm_token(new)? {
            hsm::make_softhsm_token(&plan)
                .map_err(|error| CliError::context("cannot make the new SoftHSM token", &error))?;
        }
        drop_privileges(old)?;
        drop_privileges(new)?;
        let file = store_file(old, &runtime)?;
        let installation = file.installation().map(InstallationId::new);
        let installation =
            installation.map_err(|error| CliError::context("cannot read the store", &error))?;
        let records = Arc::new(file.records());
        Ok(Self { old, new, installation, runtime, records, _lock })
    }

    /// Logs in to both tokens.
    pub(super) fn open(&self) -> Result<Rewrap, CliError> {
        let settings = |configuration| enclave_settings(configuration, Some(Arc::clone(&self.records)));
        Rewrap::open(&settings(self.old), &settings(self.new))
            .map_err(|error| failed("cannot open both tokens", &error))
    }

    /// Whether an earlier attempt has made the move final.
    pub(super) fn is_final(&self) -> Result<bool, CliError> {
        let keys = audit_log::checkpoint_keys(&self.old.audit.directory)
            .map_err(|error| CliError::context("cannot read the audit log", &error))?;
        let Some(last) = keys.last() else { return Ok(false) };
        let new = self.open()?.new_key();
        let new = new.map_err(|error| failed("cannot examine the new token", &error))?;
        Ok(new.is_some_and(|new| last.public_key() == public_key_of(new)))
    }

    /// Starts the service of one side as `serve` does, and stops it: it compares store, log and token, finishes what the
    /// last run left open, and signs a checkpoint. Gives the versions that are not destroyed.
    pub(super) fn start(&self, configuration: &Configuration) -> Result<HashSet<KeyId>, CliError> {
        let Opened { services, open_intents } =
            open(configuration, Needs::Token, &Accepted::default(), &self.runtime)?;
        let audit = &configuration.audit;
        let publish = Publish {
            files: audit.checkpoint_file.iter().cloned().collect(),
            mirror: None,
            webhook: String::new(),
            anchor_every: audit.anchor_interval,
            stuck_after: audit.checkpoint_timeout,
            accepted: Vec::new(),
        };
        self.runtime.block_on(async {
            let started = match services.checkpoints.publish(publish).await {
                Ok(()) => services.recover(open_intents).await,
                Err(failure) => Err(failure),
            };
            let versions = services.store().all_versions();
            let closed = services.close().await;
            let recovered = started.map_err(|failure| CliError::new(failure.cause_or_message()))?;
            closed.map_err(|error| CliError::context("cannot close the audit log", &error))?;
            if !recovered.missing.is_empty() {
                let missing = recovered.missing.join(", ");
                say(&format!("the token does not hold these versions, which the store knows: {missing}"));
            }
            let is_alive = |version: &KeyVersion| version.status.lifecycle != LifecycleState::Destroyed;
            Ok(versions.iter().filter(|version| is_alive(version)).map(|version| version.id).collect())
        })
    }
}

/// An error of the move: that of a token has its cure, and its exit status where the PIN was refused.
pub(super) fn failed(what: &str, error: &hsm::RewrapError) -> CliError {
    match error {
        hsm::RewrapError::Open(error) => CliError::token(what, error),
        hsm::RewrapError::Refused(_) | hsm::RewrapError::Key { .. } => CliError::context(what, error),
    }
}

/// Refuses what must be the same on both sides and is not, by name.
fn compare(old: &Configuration, new: &Configuration) -> Result<(), CliError> {
    let absolute = |path| std::path::absolute(path).unwrap_or_default();
    for (setting, before, after) in [
        ("data.directory", &old.data.directory, &new.data.directory),
        ("audit.directory", &old.audit.directory, &new.audit.directory),
    ] {
        if absolute(before) != absolute(after) {
            return Err(CliError::usage(format!(
                "{setting} is {} in one configuration and {} in the other: a move keeps both directories; to change \
                 them, restore a backup",
                before.display(),
                after.display()
            )));
        }
    }
    match (&old.pkcs11.softhsm_conf, &new.pkcs11.softhsm_conf) {
        (Some(before), Some(after)) if absolute(before) != absolute(after) => Err(CliError::usage(
            "pkcs11.softhsm_conf differs, and a process can use one directory of SoftHSM tokens: keep it and name another \
             pkcs11.label, so that both tokens are in one directory",
        )),
        _ => Ok(()),
    }
}
