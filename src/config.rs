//! Settings of the program: defaults < named file < environment < flags.
//!
//! Each setting is described once, in `sections`; [`sections()`] gives the descriptions. Unknown
//! settings are refused, and every error is reported at once. No setting is a secret: secrets are in
//! files that settings name. A leaf: other modules get plain values, never the whole.

mod kinds;
mod near;
mod pkcs11_uri;
mod reader;
mod section_macro;
mod sections;
mod setting;

use std::path::{Path, PathBuf};

use thiserror::Error;

use self::reader::Reader;
use self::sections::tls::TlsSettings;

pub use self::pkcs11_uri::TokenSelector;
pub use self::sections::audit::Audit;
pub use self::sections::auth::{Auth, Chain};
pub use self::sections::data::Data;
pub use self::sections::enclave::{Enclave, FaultCheck, Sandbox, SandboxMode};
pub use self::sections::events::{Events, Rotation};
pub use self::sections::keys::{Keys, Location};
pub use self::sections::limits::Limits;
pub use self::sections::log::{Log, LogFormat, Telemetry};
pub use self::sections::pkcs11::{Pkcs11, Scheme};
pub use self::sections::server::{ProxyProtocol, Server};
pub use self::sections::tls::{ClientAuth, Tls};
pub use self::setting::{Section, Setting};

/// Every setting, valid.
#[derive(Debug)]
#[expect(missing_docs, reason = "the types describe the sections")]
pub struct Configuration {
    pub server: Server,
    /// None: plain HTTP.
    pub tls: Option<Tls>,
    pub limits: Limits,
    pub data: Data,
    pub pkcs11: Pkcs11,
    pub keys: Keys,
    pub enclave: Enclave,
    pub sandbox: Sandbox,
    pub audit: Audit,
    pub auth: Auth,
    pub chain: Chain,
    pub rotation: Rotation,
    pub events: Events,
    pub log: Log,
    pub telemetry: Telemetry,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// SHA-256 of every setting and its value, for the audit log.
    pub digest: [u8; 32],
    /// The same of the settings that take a restart.
    pub fixed_digest: [u8; 32],
}

/// Every error in the settings, one per line.
#[derive(Debug, Error)]
#[error("the configuration has {} error(s):\n  {}", .0.len(), .0.join("\n  "))]
pub struct ConfigErrors(Vec<String>);

/// The description of every setting, in the order of the documents.
#[must_use]
pub fn sections() -> Vec<Section> {
    vec![
        Server::describe(),
        TlsSettings::describe(),
        Limits::describe(),
        Data::describe(),
        Pkcs11::describe(),
        Keys::describe(),
        Enclave::describe(),
        Sandbox::describe(),
        Audit::describe(),
        Auth::describe(),
        Chain::describe(),
        Rotation::describe(),
        Events::describe(),
        Log::describe(),
        Telemetry::describe(),
    ]
}

/// Reads the settings. `overrides` come from flags: the name of a setting and its value.
///
/// # Errors
/// All errors at once, each with the setting, the value and its origin.
pub fn load(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Configuration, ConfigErrors> {
    let mut reader = Reader::new(file, overrides).map_err(|error| ConfigErrors(vec![error]))?;
    let reader_ref = &mut reader;
    let data = Data::read(reader_ref);
    reader_ref.set_data(&data.directory);
    let mut configuration = Configuration {
        server: Server::read(reader_ref),
        tls: TlsSettings::read(reader_ref).files(reader_ref),
        limits: Limits::read(reader_ref),
        data,
        pkcs11: Pkcs11::read(reader_ref),
        keys: Keys::read(reader_ref),
        enclave: Enclave::read(reader_ref),
        sandbox: Sandbox::read(reader_ref),
        audit: Audit::read(reader_ref),
        auth: Auth::read(reader_ref),
        chain: Chain::read(reader_ref),
        rotation: Rotation::read(reader_ref),
        events: Events::read(reader_ref),
        log: Log::read(reader_ref),
        telemetry: Telemetry::read(reader_ref),
        file: file.map(Path::to_owned),
        digest: [0; 32],
        fixed_digest: [0; 32],
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    configuration.limits.resolve(cores);
    configuration.enclave.resolve(cores);
    configuration.pkcs11.resolve(&mut reader);
    configuration.server.check(configuration.tls.is_some(), &mut reader);
    configuration.audit.check(&mut reader);
    configuration.auth.check(&mut reader);
    configuration.chain.check(&configuration.auth.contract_wallets, &mut reader);
    configuration.events.check(&mut reader);
    configuration.telemetry.check(&mut reader);
    (configuration.digest, configuration.fixed_digest) = reader.finish(&sections()).map_err(ConfigErrors)?;
    Ok(configuration)
}

#[cfg(test)]
mod tests;
