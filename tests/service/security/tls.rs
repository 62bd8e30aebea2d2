//! TLS with certificates made here: which clients connect, what a reload changes, what a stolen access token can do.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::Value;

use crate::support::{EOA, Installation, Running, process, text};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key.
pub(crate) struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn identity(authority: &Authority, name: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    Identity { certificate: params.signed_by(&key, authority).unwrap(), key }
}

impl Identity {
    fn write(&self, directory: &Path) {
        fs::write(directory.join("server.pem"), self.certificate.pem()).unwrap();
        let key = directory.join("server.key");
        fs::write(&key, self.key.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn fingerprint(&self) -> String {
        avs_kms::auth::CertificateFingerprint::of(self.certificate.der()).to_string()
    }
}

/// An installation with a server certificate, and who issued it.
pub(crate) struct Secured {
    pub(crate) installation: Installation,
    directory: PathBuf,
    servers: Authority,
    clients: Authority,
}

impl Secured {
    pub(crate) fn new() -> Self {
        let installation = Installation::new();
        let directory = installation.data().parent().unwrap().to_owned();
        let (servers, clients) = (authority("servers"), authority("clients"));
        identity(&servers, "localhost").write(&directory);
        fs::write(directory.join("clients.pem"), clients.pem()).unwrap();
        Self { installation, directory, servers, clients }
    }

    /// Serves with these settings beside the certificate.
    pub(crate) fn serve_with(&self, settings: &[(&str, &str)]) -> Running {
        self.installation.serve_with(|command| {
            self.certified(command).envs(settings.iter().copied());
        })
    }

    fn certified<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AVS_KMS__TLS__CERTIFICATE", self.directory.join("server.pem"))
            .env("AVS_KMS__TLS__KEY", self.directory.join("server.key"))
    }

    fn serve(&self, client_auth: Option<&str>) -> Running {
        self.installation.serve_with(|command| {
            self.certified(command);
            if let Some(auth) = client_auth {
                command
                    .env("AVS_KMS__TLS__CLIENT_CA", self.directory.join("clients.pem"))
                    .env("AVS_KMS__TLS__CLIENT_AUTH", auth);
            }
        })
    }

    /// Runs what a client asks that is offered HTTP/2, and where it asks.
    pub(crate) fn over_http_2(&self, service: &Running, ask: impl AsyncFnOnce(reqwest::Client, String)) {
        let authority = reqwest::Certificate::from_pem(self.servers.pem().as_bytes()).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().tls_certs_only([authority]);
        let client = client.resolve("localhost", service.address).build().unwrap();
        let url = format!("https://localhost:{}", service.address.port());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask(client, url));
    }

    pub(crate) fn client(
        &self,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.servers.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![identity.certificate.der().clone()], key).unwrap()
            }
        }
    }
}

pub(crate) const ANY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

pub(crate) fn connect(service: &Running, client: ClientConfig) -> Stream {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(client), name).unwrap();
    let socket = TcpStream::connect(service.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    StreamOwned::new(connection, socket)
}

/// One request on a connection that stays open; the status and the body.
pub(crate) fn get(stream: &mut Stream, path: &str, token: Option<&str>) -> std::io::Result<(u16, Value)> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{token}\r\n")?;
    let mut raw = Vec::new();
    loop {
        let mut bytes = [0; 8192];
        let read = stream.read(&mut bytes)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        raw.extend_from_slice(&bytes[..read]);
        let text = text(&raw);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return Ok((head.split(' ').nth(1).unwrap().parse().unwrap(), body));
        }
    }
}

fn served_certificate(stream: &Stream) -> CertificateDer<'static> {
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_plain_http_is_not() {
    let secured = Secured::new();
    let service = secured.serve(None);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut stream = connect(&service, secured.client(None, &[version]));
        assert_eq!(get(&mut stream, "/version", None).unwrap().0, 200);
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
    }
    let mut plain = TcpStream::connect(service.address).unwrap();
    plain.write_all(b"GET /version HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut raw = Vec::new();
    let _ = plain.read_to_end(&mut raw);
    assert!(!text(&raw).contains("HTTP/1.1 200"), "{}", text(&raw));
    // A ClientHello that offers TLS 1.1 at most, in a record of TLS 1.0.
    let mut old = TcpStream::connect(service.address).unwrap();
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    old.write_all(&record).unwrap();
    let mut alert = Vec::new();
    let _ = old.read_to_end(&mut alert);
    assert_eq!(alert.first(), Some(&21), "TLS 1.1 was not refused by an alert: {alert:?}");
}

#[test]
fn http_2_is_spoken_and_its_connections_end_when_idle() {
    let secured = Secured::new();
    let token = secured.installation.token(EOA);
    let service = secured.serve_with(&[("AVS_KMS__SERVER__HEADER_TIMEOUT", "500ms")]);
    service_answers_over_http_2(&service, &secured, &token);
    let mut client = secured.client(None, ANY);
    client.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream = connect(&service, client);
    // Preface and an empty SETTINGS frame, then silence.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let begun = Instant::now();
    let mut raw = Vec::new();
    let _ = stream.read_to_end(&mut raw);
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    assert!(begun.elapsed() < Duration::from_secs(15), "an idle HTTP/2 connection stays open");
}

fn service_answers_over_http_2(service: &Running, secured: &Secured, token: &str) {
    secured.over_http_2(service, async |client, url| {
        let create = client.post(format!("{url}/v1/keys")).bearer_auth(token);
        let create = create.header("content-type", "application/json").body(format!(r#"{{"eoa":"{EOA}"}}"#));
        let answer = create.send().await.unwrap();
        assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 201));
        let answer = client.get(format!("{url}/v1/keys/{EOA}")).bearer_auth(token).send().await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(body["keys"].as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn a_reload_changes_the_certificate_and_drops_no_connection() {
    let secured = Secured::new();
    let service = secured.serve(None);
    let mut standing = connect(&service, secured.client(None, ANY));
    assert_eq!(get(&mut standing, "/version", None).unwrap().0, 200);
    let before = served_certificate(&standing);

    // A mistake first: nothing may change.
    fs::write(secured.directory.join("server.pem"), "nonsense").unwrap();
    service.reload();
    let mut stream = wait_for(|| {
        let mut stream = connect(&service, secured.client(None, ANY));
        get(&mut stream, "/version", None).unwrap();
        service.log().contains("nothing was changed").then_some(stream)
    });
    assert_eq!(served_certificate(&stream), before);

    let renewed = identity(&secured.servers, "localhost");
    renewed.write(&secured.directory);
    service.reload();
    stream = wait_for(|| {
        let mut stream = connect(&service, secured.client(None, ANY));
        get(&mut stream, "/version", None).unwrap();
        (served_certificate(&stream) != before).then_some(stream)
    });
    assert_eq!(&served_certificate(&stream), renewed.certificate.der());
    assert_eq!(get(&mut standing, "/version", None).unwrap().0, 200, "a standing connection was dropped");
}

fn wait_for<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < end, "it did not happen in 20 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn where_client_certificates_are_required_no_other_client_connects() {
    let secured = Secured::new();
    let service = secured.serve(Some("required"));
    let good = identity(&secured.clients, "runbooks");
    assert_eq!(
        get(&mut connect(&service, secured.client(Some(&good), ANY)), "/version", None).unwrap().0,
        200
    );
    let unknown = identity(&authority("clients"), "runbooks");
    for refused in [None, Some(&unknown)] {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let mut stream = connect(&service, secured.client(refused, &[version]));
            assert!(
                get(&mut stream, "/version", None).is_err(),
                "a client without a right certificate got in"
            );
        }
    }
}

#[test]
fn a_pinned_token_works_with_its_certificate_alone() {
    let secured = Secured::new();
    let service = secured.serve(Some("optional"));
    let (own, other) = (identity(&secured.clients, "own"), identity(&secured.clients, "other"));
    let pinned = secured.installation.must(&[
        "access-token",
        "issue",
        "--eoa",
        EOA,
        "--scope",
        "keys:read",
        "--client-certificate",
        &own.fingerprint(),
    ]);
    let free = secured.installation.token(EOA);
    let path = format!("/v1/keys/{EOA}");
    let status = |identity: Option<&Identity>, token: &str| {
        let mut stream = connect(&service, secured.client(identity, ANY));
        let (status, body) = get(&mut stream, &path, Some(token)).unwrap();
        (status, body["code"].as_str().unwrap_or("-").to_owned())
    };
    let unknown = || (401, "unauthenticated".to_owned());
    assert_eq!(status(Some(&own), &pinned), (200, "-".to_owned()));
    assert_eq!(status(Some(&other), &pinned), unknown());
    assert_eq!(status(None, &pinned), unknown());
    assert_eq!(status(None, &free), (200, "-".to_owned()));
    let list = secured.installation.must(&["--json", "access-token", "list"]);
    assert!(list.contains(&own.fingerprint()), "{list}");
    // The pin is in the store, not only in the running process.
    service.kill();
    let service = secured.serve(Some("optional"));
    let mut stream = connect(&service, secured.client(Some(&other), ANY));
    assert_eq!(get(&mut stream, &path, Some(&pinned)).unwrap().0, 401);
}

#[test]
fn a_key_that_others_can_read_is_refused_at_the_start() {
    let secured = Secured::new();
    let key = secured.directory.join("server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = secured.installation.command(&["serve"]);
    command
        .env("AVS_KMS__TLS__CERTIFICATE", secured.directory.join("server.pem"))
        .env("AVS_KMS__TLS__KEY", &key);
    let output = process::output(&mut command);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("0644"), "{}", text(&output.stderr));
}

#[test]
fn plain_http_beyond_loopback_needs_a_setting_of_its_own() {
    let installation = Installation::new();
    let output = installation.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("server.allow_plain_http"), "{}", text(&output.stderr));
}
