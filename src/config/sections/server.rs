//! `[server]`.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::kinds::{ADDRESS, BOOL, Choice, HOST, List, NETWORK, Number, Optional, TIME};
use crate::config::reader::Reader;
use crate::config::section_macro::section;

section! {
    /// The HTTP interface.
    ["server"]
    pub struct Server {
        /// Address and port of the HTTP interface. Without `[tls]` it speaks plain HTTP, and only a
        /// loopback address is accepted.
        listen: SocketAddr = "127.0.0.1:8254", ADDRESS;
        /// Accept plain HTTP on addresses other than loopback. Set it only where a network of your
        /// own protects everything that is sent, access tokens included.
        allow_plain_http: bool = "false", BOOL;
        /// Names by which clients reach the service, without port, such as `kms.internal`: a request
        /// for another name in `Host` is refused, so that no web page reaches the service through a
        /// browser. Loopback names, the address of `server.listen` and the host of `auth.public_url`
        /// need not be listed; `0.0.0.0` and `[::]` allow every IP address. Health and metrics answer
        /// under every name.
        allowed_hosts: Vec<String> = "", List(HOST);
        /// Networks of proxies in front of the service. What they say of a client's address counts for
        /// the limits, the networks of access tokens and keys, and the audit log: the last address in
        /// `Forwarded` or `X-Forwarded-For` that is no trusted proxy's. From every other address
        /// these headers have no effect.
        trusted_proxies: Vec<IpNet> = "", List(NETWORK);
        /// Whether the trusted proxies begin each connection with a PROXY header of version 2, before
        /// TLS and HTTP. A connection of theirs without one is closed.
        proxy_protocol: ProxyProtocol = "off", Choice(PROXY_PROTOCOL);
        /// Address and port of a second listener for `/healthz`, `/readyz`, `/version` and
        /// `/metrics`, in plain HTTP. The limits of clients do not apply to it. Empty: none.
        health_listen: Option<SocketAddr> = "127.0.0.1:8255", Optional(ADDRESS);
        /// Longest time until a request is answered, also when the HSM does not answer.
        request_deadline: Duration = "10s", TIME;
        /// Time a client has to send the head of a request. An idle connection is closed after the
        /// same time.
        header_timeout: Duration = "5s", TIME;
        /// Time a client has to send the body of a request.
        body_timeout: Duration = "5s", TIME;
        /// A connection is closed when its client has read nothing of an answer for this time.
        write_timeout: Duration = "10s", TIME;
        /// Connections at a time. Further connections wait until one is closed.
        max_connections: u32 = "512", Number(1..=65_536);
        /// Time that running requests have to finish after SIGTERM or SIGINT.
        shutdown_grace: Duration = "20s", TIME;
    }
}

/// How proxies name the client of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// Not at all.
    Off,
    /// PROXY protocol, version 2.
    V2,
}

const PROXY_PROTOCOL: &[(&str, ProxyProtocol)] = &[("off", ProxyProtocol::Off), ("v2", ProxyProtocol::V2)];

impl Server {
    /// Refuses plain HTTP beyond this machine: what is sent, access tokens above all, can be read
    /// and changed on the way.
    pub(in crate::config) fn check(&self, tls: bool, reader: &mut Reader) {
        let listeners = [
            ("server.listen", Some(self.listen).filter(|_| !tls)),
            ("server.health_listen", self.health_listen),
        ];
        if self.proxy_protocol != ProxyProtocol::Off && self.trusted_proxies.is_empty() {
            reader.error("server.proxy_protocol", "no proxy is trusted: set server.trusted_proxies");
        }
        for (key, address) in listeners {
            if !self.allow_plain_http && address.is_some_and(|address| !address.ip().is_loopback()) {
                reader.error(
                    key,
                    "plain HTTP is accepted on a loopback address only: set tls.certificate and \
                     tls.key, or server.allow_plain_http = true where a network of your own protects it",
                );
            }
        }
    }
}
