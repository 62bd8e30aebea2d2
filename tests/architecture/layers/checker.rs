//! Tests of the rules: each row is a small file that must pass, or is refused with this message.

use crate::layers::rules::check;

#[track_caller]
fn refused(file: &str, source: &str, offences: &[&str]) {
    assert_eq!(check(file, source), offences, "{file}: {source}");
}

#[track_caller]
fn passes(file: &str, source: &str) {
    refused(file, source, &[]);
}

#[test]
fn an_upward_reference_is_refused_in_every_form() {
    let router = ["1: crate::http::Router: http is above key"];
    let whole = ["1: crate::http: http is above key"];
    refused("key.rs", "use crate::http::Router;", &router);
    refused("key.rs", "use avs_kms::http::Router;", &router);
    refused("key.rs", "use ::avs_kms::http::Router;", &router);
    refused("key.rs", "pub(crate) use crate::http;", &whole);
    refused("key.rs", "use crate::{request_id::Id, http::{self, Router as R}};", &[whole[0], router[0]]);
    refused("key.rs", "use super::http::Router;", &router);
    refused("key/name.rs", "use super::super::http::Router;", &router);
    refused("key/name.rs", "use self::super::super::http::Router;", &router);
    refused("key.rs", "fn f() -> crate::http::Router { todo() }", &router);
    refused(
        "key.rs",
        "fn f() { info!(\"x\", y = crate::http::Router::new::<u8>()); }",
        &["1: crate::http::Router::new: http is above key"],
    );
    refused("key.rs", "mod tests { use super::super::http::Router; }", &router);
    refused("key.rs", "#[serde(with = \"crate::http::Router\")] struct S;", &router);
    refused(
        "key.rs",
        "\n\n/* x */ use crate\n::http::Router;",
        &["3: crate::http::Router: http is above key"],
    );
}

#[test]
fn a_downward_reference_and_text_pass() {
    passes("http/keys.rs", "use crate::{auth::Caller, service::{self, create}}; use super::error::Refusal;");
    passes("key.rs", "mod name; use name::KeyName; mod tests { use super::*; use super::name::Other; }");
    passes("key/name.rs", "use super::Eoa; use crate::key::State; use self::inner::X;");
    passes(
        "key.rs",
        "//! See [`crate::http`].\n/// `crate::http::Router` uses it\nstruct S; // use crate::http;",
    );
    passes(
        "key.rs",
        "fn f() { let http = \"use crate::http::Router;\"; self.http(); a::http::b(); Self::http(); }",
    );
    passes("key.rs", "pub(crate) fn f<'hsm>(x: &'hsm u8) {} pub(in crate::key) fn g() {}");
}

#[test]
fn neighbours_do_not_use_each_other() {
    refused("outbound.rs", "use crate::clock::Now;", &["1: crate::clock::Now: clock is beside outbound"]);
    refused(
        "sandbox/calls.rs",
        "use crate::outbound::Outbound;",
        &["1: crate::outbound::Outbound: outbound is beside sandbox"],
    );
}

#[test]
fn the_configuration_is_a_leaf_that_only_the_command_line_reads() {
    refused("config.rs", "use crate::key::Eoa;", &["1: crate::key::Eoa: config is a leaf"]);
    refused("config/file.rs", "use hsm::G1Point;", &["1: hsm::G1Point: config is a leaf"]);
    refused(
        "http.rs",
        "use crate::config::Server;",
        &["1: crate::config::Server: only cli and main read the configuration"],
    );
    passes("config/file.rs", "use super::Server; use crate::config::Token;");
    passes("cli/serve.rs", "use crate::config::Config;");
    passes("main.rs", "use avs_kms::{cli, config::Config};");
}

#[test]
fn the_way_to_a_key_is_named_only_by_custody_and_the_command_line() {
    let said = "only service/custody.rs and cli name more of hsm than ids, public points and their errors";
    for (source, path) in [
        ("use hsm::Enclave;", "hsm::Enclave"),
        ("use hsm::{G1Point, Enclave};", "hsm::Enclave"),
        ("fn f(e: &hsm::Enclave) {}", "hsm::Enclave"),
        ("use hsm::*;", "hsm::*"),
        ("use hsm as h;", "hsm"),
        ("use hsm::{self as h};", "hsm"),
    ] {
        refused("service/create.rs", source, &[&format!("1: {path}: {said}")]);
        passes("service/custody.rs", source);
        passes("cli/init.rs", source);
    }
    passes("service/code.rs", "use hsm::EnclaveError;");
    refused("http/error.rs", "use hsm::EnclaveError;", &[&format!("1: hsm::EnclaveError: {said}")]);
    passes("eigenlayer/hash.rs", "use hsm::{G1Point, G2Point}; fn f(hsm: u8) -> u8 { hsm }");
}

#[test]
fn the_crate_root_cannot_hide_a_module() {
    let said = "the crate's root hides which module is used";
    refused("key.rs", "use super::*;", &[&format!("1: crate::*: {said}")]);
    refused("key.rs", "use crate as root;", &[&format!("1: crate: {said}")]);
    refused("key.rs", "use crate::{self as root};", &[&format!("1: crate: {said}")]);
    refused("key.rs", "use crate::Store;", &["1: crate::Store: the order does not know the module Store"]);
}

#[test]
fn nothing_but_the_enclave_names_the_token_crates() {
    for file in ["store.rs", "service/custody.rs", "cli.rs", "main.rs"] {
        refused(file, "use cryptoki::context::Pkcs11;", &["1: cryptoki: only the crate hsm speaks PKCS#11"]);
        refused(file, "extern crate cryptoki_sys;", &["1: cryptoki_sys: only the crate hsm speaks PKCS#11"]);
    }
}

#[test]
fn only_the_command_line_talks_to_a_terminal() {
    refused("http.rs", "fn f() { println!(\"x\"); }", &["1: println!: only cli talks to a terminal"]);
    refused("main.rs", "fn f() {\n std::eprint!(\"x\"); }", &["2: eprint!: only cli talks to a terminal"]);
    passes("cli/keys.rs", "fn f() { println!(\"x\"); }");
    passes("http.rs", "fn f() { print(\"x\"); // println!()\n }");
}

#[test]
fn a_module_without_a_place_is_refused() {
    refused("utils.rs", "", &["1: the order does not know the module utils"]);
    refused("helpers/hex.rs", "", &["1: the order does not know the module helpers"]);
}
