//! Sockets of the service, bound before anything slow is done.

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};

use super::tls;
use crate::cli::error::CliError;
use crate::config::Configuration;
use crate::http::Tls;

/// What clients and monitoring connect to.
pub(in crate::cli) struct Sockets {
    pub(in crate::cli) clients: StdTcpListener,
    pub(in crate::cli) health: Option<StdTcpListener>,
    pub(in crate::cli) tls: Option<Arc<Tls>>,
}

impl Sockets {
    pub(in crate::cli) fn bind(configuration: &Configuration) -> Result<Self, CliError> {
        let tls = tls::tls(configuration)?;
        let bind = |address| {
            StdTcpListener::bind(address)
                .map_err(|error| CliError::context(format!("cannot listen on {address}"), &error))
        };
        let clients = bind(configuration.server.listen)?;
        let health = configuration.server.health_listen.map(bind).transpose()?;
        Ok(Self { clients, health, tls })
    }

    /// The URL of the address that was bound, and whether only this machine reaches it.
    pub(in crate::cli) fn url(&self) -> Result<(String, bool), CliError> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let bound = self.clients.local_addr();
        let bound = bound.map_err(|error| CliError::context("cannot listen", &error))?;
        Ok((format!("{scheme}://{bound}"), bound.ip().is_loopback()))
    }
}

pub(in crate::cli) fn into_tokio(socket: StdTcpListener) -> Result<(TcpListener, SocketAddr), CliError> {
    let failed = |error: std::io::Error| CliError::context("cannot listen", &error);
    socket.set_nonblocking(true).map_err(failed)?;
    let socket = TcpListener::from_std(socket).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok((socket, address))
}

/// The socket for commands. The mode of the data directory protects it, and its own mode does again.
pub(in crate::cli) fn local_socket(configuration: &Configuration) -> Result<UnixListener, CliError> {
    let path = configuration.data.socket();
    let failed = |error: std::io::Error| {
        let what = format!("cannot create the socket {} (at most 107 bytes long)", path.display());
        CliError::context(what, &error)
    };
    // A killed process leaves its socket; the data lock proves that no process listens on it.
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}
