//! What a start says in the log: what it recovered, and what to do with a service without keys.

use crate::config::Configuration;
use crate::key::Freeze;
use crate::service::Recovered;

/// What to do with a service that has no keys yet.
pub(super) fn next_steps(configuration: &Configuration) {
    let program = std::env::args().next().unwrap_or_else(|| "avs-kms".to_owned());
    let program = format!("{program} --data {}", configuration.data.directory.display());
    tracing::info!("next, create a key: {program} keys create --eoa YOUR_EOA");
    tracing::info!(
        "then issue an access token: {program} access-token issue --eoa YOUR_EOA --scope keys:read,sign:typed"
    );
}

/// That nothing will be signed until the administrator ends it.
pub(super) fn frozen(freeze: &Freeze) {
    let since = freeze.since;
    tracing::warn!("the service is frozen since {since}: nothing is signed until `avs-kms unfreeze`");
}

/// What the last run left open, and keys that need attention.
pub(super) fn report(recovered: &Recovered) {
    let Recovered { finished, undone, missing, unclaimed, returned } = recovered;
    if finished + undone > 0 {
        tracing::warn!(
            finished,
            undone,
            "operations that the last run left open were completed or rolled back"
        );
    }
    for version in missing {
        tracing::error!(
            version,
            "the token does not hold this key version as the store has it; it will not sign"
        );
    }
    for version in returned {
        tracing::error!(
            version,
            "the record of this destroyed key version is there again: an older copy was put back; it does not sign"
        );
    }
    for record in unclaimed {
        tracing::warn!(record, "the token holds a record that the store does not have; it was not changed");
    }
}
