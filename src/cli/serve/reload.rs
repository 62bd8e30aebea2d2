//! Reload on SIGHUP: certificates, `[limits]` and `log.level`. After an error nothing changes.
//!
//! Not for: any other setting. Those take a restart, and the log says so when one has changed.

use std::error::Error;
use std::sync::Arc;

use super::limits;
use super::logging::Logging;
use crate::config::Configuration;
use crate::http::{App, NetworkQuota, Tls};
use crate::service::Services;
use crate::service::operation::SERVICE_RELOAD;
use audit_log::{Actor, Event, Input, Value};

/// What can change while the service runs.
pub(in crate::cli) struct Reloadable<'a> {
    pub(in crate::cli) logging: &'a Logging,
    pub(in crate::cli) app: App,
    pub(in crate::cli) share: NetworkQuota,
    pub(in crate::cli) tls: Option<Arc<Tls>>,
    pub(in crate::cli) services: Arc<Services>,
    /// The configuration that the service runs with.
    pub(in crate::cli) running: RunningDigests,
}

/// Digests of the configuration, to see what has changed.
pub(in crate::cli) struct RunningDigests {
    digest: [u8; 32],
    fixed: [u8; 32],
}

impl From<&Configuration> for RunningDigests {
    fn from(configuration: &Configuration) -> Self {
        Self { digest: configuration.digest, fixed: configuration.fixed_digest }
    }
}

impl Reloadable<'_> {
    /// Applies a configuration that was read again, or logs why not.
    pub(in crate::cli) fn apply(&mut self, read: Result<Configuration, impl Error>) {
        let configuration = match read {
            Ok(configuration) => configuration,
            Err(errors) => {
                tracing::error!("SIGHUP: {errors}\nnothing was changed");
                return self.note(None, "invalid_configuration");
            }
        };
        // First the step that can fail.
        match self.tls.as_deref().map(Tls::reload) {
            Some(Err(error)) => {
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::error!(cause, "SIGHUP: {error}; nothing was changed");
                return self.note(None, "invalid_configuration");
            }
            Some(Ok(())) => tracing::info!("SIGHUP: the TLS certificates were read again"),
            None => {}
        }
        if let Err(error) = self.logging.set_level(&configuration.log.level) {
            tracing::error!(%error, "SIGHUP: the log level was not changed");
        }
        self.app.set_limits(limits::reloadable(&configuration));
        self.share.set(configuration.limits.connections_per_address);
        let now = RunningDigests::from(&configuration);
        if now.fixed != self.running.fixed {
            tracing::warn!(
                "SIGHUP: other settings than [limits] and log.level have changed; they take effect after a restart"
            );
        } else if now.digest == self.running.digest {
            tracing::info!("SIGHUP: no setting has changed");
        } else {
            tracing::info!("SIGHUP: the limits and the log level were read again");
        }
        // Settings that take a restart are compared with the start again.
        self.running.digest = now.digest;
        self.note(Some(now.digest), "ok");
    }

    /// Records the digest of the configuration in the audit log.
    fn note(&self, digest: Option<[u8; 32]>, code: &'static str) {
        let digest = digest.map(|digest| ("config_digest", Value::Bytes(digest.to_vec())));
        self.services.log().note(Event {
            operation: SERVICE_RELOAD.name,
            actor: Actor::service(),
            request: None,
            key: None,
            input: digest.map(|digest| Input::Fields(vec![digest])),
            code,
        });
    }
}
