//! The tests beside a service on the default ports, such as `make run`.

use std::net::TcpListener;

use crate::support::process::{self, DEFAULT_PORTS};
use crate::support::{Installation, text};

#[test]
fn tests_run_beside_a_service_on_the_default_ports_and_one_that_uses_them_fails() {
    let installation = Installation::new();
    let service = installation.serve();
    let health = service.health.unwrap();
    // Another run of the tests, or a service, may have had them at the start of this program and be gone.
    let _held: Vec<_> =
        DEFAULT_PORTS.iter().filter_map(|port| TcpListener::bind(("127.0.0.1", *port)).ok()).collect();
    for port in DEFAULT_PORTS {
        assert!(service.address.port() != port && health.port() != port, "the test uses {port}");
    }
    service.stop();

    for (setting, port) in [("AVS_KMS__SERVER__LISTEN", "8254"), ("AVS_KMS__SERVER__HEALTH_LISTEN", "8255")] {
        let output = process::output(installation.command(&["serve"]).env_remove(setting));
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(port), "{setting}: {said}");
    }
}
