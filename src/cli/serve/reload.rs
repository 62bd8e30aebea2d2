//! SIGHUP: certificates, `[limits]` and `log.level` are read again; a mistake leaves everything as it was.
//!
//! Not for: any other setting. Those take a restart, and the log says so when one has changed.

use std::error::Error;
use std::sync::Arc;

use super::limits;
use super::logging::Logging;
use crate::config::Configuration;
use crate::http::{App, NetworkQuota, Tls};
use crate::service::Service;
use audit_log::{Actor, Event, Input, Value};

/// What can change while the service runs.
pub(in crate::cli) struct Live<'a> {
    pub(in crate::cli) logging: &'a Logging,
    pub(in crate::cli) app: App,
    pub(in crate::cli) share: NetworkQuota,
    pub(in crate::cli) tls: Option<Arc<Tls>>,
    pub(in crate::cli) service: Arc<Service>,
    /// The configuration that the service runs by.
    pub(in crate::cli) applied: Applied,
}

/// What is compared to see what has changed.
pub(in crate::cli) struct Applied {
    digest: [u8; 32],
    fixed: [u8; 32],
}

impl From<&Configuration> for Applied {
    fn from(configuration: &Configuration) -> Self {
        Self { digest: configuration.digest, fixed: configuration.fixed_digest }
    }
}

impl Live<'_> {
    /// Applies a configuration that was read again, or says why not.
    pub(in crate::cli) fn apply(&mut self, read: Result<Configuration, impl Error>) {
        let configuration = match read {
            Ok(configuration) => configuration,
            Err(mistakes) => {
                tracing::error!("SIGHUP: {mistakes}\neverything stays as it was");
                return self.note(None, "invalid_configuration");
            }
        };
        // First what can be refused.
        match self.tls.as_deref().map(Tls::reload) {
            Some(Err(error)) => {
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::error!(cause, "SIGHUP: {error}; everything stays as it was");
                return self.note(None, "invalid_configuration");
            }
            Some(Ok(())) => tracing::info!("SIGHUP: the TLS certificates were read again"),
            None => {}
        }
        if let Err(error) = self.logging.set_level(&configuration.log.level) {
            tracing::error!(%error, "SIGHUP: the level of the log stays as it was");
        }
        self.app.set_limits(limits::reloadable(&configuration));
        self.share.set(configuration.limits.connections_per_address);
        let now = Applied::from(&configuration);
        if now.fixed != self.applied.fixed {
            tracing::warn!("SIGHUP: of what has changed, only [limits] and log.level hold before a restart");
        } else if now.digest == self.applied.digest {
            tracing::info!("SIGHUP: no setting has changed");
        } else {
            tracing::info!("SIGHUP: the limits and the level of the log were read again");
        }
        // The rest does not run yet: it is compared with again.
        self.applied.digest = now.digest;
        self.note(Some(now.digest), "ok");
    }

    /// The audit log knows under which configuration it was written.
    fn note(&self, digest: Option<[u8; 32]>, code: &'static str) {
        let digest = digest.map(|digest| ("config_digest", Value::Bytes(digest.to_vec())));
        self.service.audit().note(Event {
            operation: "service.reload",
            actor: Actor::service(),
            request: None,
            key: None,
            input: digest.map(|digest| Input::Fields(vec![digest])),
            code,
        });
    }
}
