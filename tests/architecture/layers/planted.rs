//! Does the check of structures see what it should? Small crates with a circle, a facade, an upward import.

use super::graph::{Crate, Edge, circles};
use super::structure::{below, forbidden, through_a_facade, upward};

fn edges(files: &[(&str, &str)]) -> Vec<Edge> {
    let files: Vec<_> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Crate::new("planted", &files).edges()
}

#[track_caller]
fn circle(files: &[(&str, &str)], expected: &[&str]) {
    let found = circles(&edges(files));
    assert_eq!(found, if expected.is_empty() { Vec::new() } else { vec![expected.to_vec()] }, "{files:?}");
}

#[test]
fn a_circle_of_siblings_is_seen_in_every_form() {
    let b = ("m/b.rs", "pub struct B;");
    for back in [
        "use crate::m::b::B;",
        "use super::b::B;",
        "use super::{b::{self, B as Other}};",
        "fn f() -> planted::m::b::B { todo!() }",
        "use super::b; fn f() -> b::B { todo!() }",
        "use crate::m; fn f() -> m::b::B { todo!() }",
        "mod inner { use super::super::b::B; }",
    ] {
        let uses_a = (b.0, "use super::a::A; pub struct B(A);");
        circle(
            &[("m.rs", "mod a; mod b;"), ("m/a.rs", &format!("pub struct A; {back}")), uses_a],
            &["m/a.rs", "m/b.rs"],
        );
        circle(&[("m.rs", "mod a; mod b;"), ("m/a.rs", &format!("pub struct A; {back}")), b], &[]);
    }
}

#[test]
fn a_circle_through_facades_is_seen() {
    let facade = "mod a; mod b; pub use a::A; pub use self::b::{B as Bee, other};";
    let files =
        [("m.rs", facade), ("m/a.rs", "use super::Bee; pub struct A(Bee);"), ("m/b.rs", "use crate::m::A;")];
    circle(&files, &["m/a.rs", "m/b.rs"]);
    let glob = [
        ("m.rs", "mod a; mod b; pub use a::*; pub use b::*;"),
        files[1],
        (
            "m/b.rs",
            "use super::graph::{Crate, Edge, circles};
use super::structure::{below, forbidden, through_a_facade, upward}; struct Bee(super::A);",
        ),
    ];
    circle(&glob, &["m/a.rs", "m/b.rs"]);
    let two = [
        ("lib.rs", "mod m; mod n; pub use m::A; pub use n::N;"),
        ("m.rs", "mod a; pub use a::A;"),
        ("m/a.rs", "use crate::N; pub struct A(N);"),
        ("n.rs", "use crate::A; pub struct N(A);"),
    ];
    circle(&two, &["m/a.rs", "n.rs"]);
}

#[test]
fn a_parent_that_uses_its_child_and_is_used_by_it_is_a_circle() {
    let child = ("m/a.rs", "use super::Limit; pub fn f(_: Limit) {}");
    circle(&[("m.rs", "mod a; pub struct Limit; fn g() { a::f(Limit) }"), child], &["m.rs", "m/a.rs"]);
    circle(&[("m.rs", "mod a; pub use a::f; pub struct Limit;"), child], &[]);
    let visible = ("m/a.rs", "pub(in crate::m) fn f() {} pub(in super::super) struct A;");
    circle(&[("m.rs", "mod a; fn g() { a::f() }"), visible], &[]);
}

#[test]
fn tests_may_use_anything() {
    let b = ("m/b.rs", "use super::a::A; pub struct B(A);");
    for test in [
        "#[cfg(test)] mod tests { use super::super::b::B; }",
        "#[cfg(test)] use super::b::B;",
        "#[test] fn f() { super::b::B; }",
    ] {
        circle(&[("m.rs", "mod a; mod b;"), ("m/a.rs", &format!("pub struct A; {test}")), b], &[]);
    }
    let apart = [
        ("m.rs", "mod a; #[cfg(test)] mod tests;"),
        ("m/a.rs", "pub struct A;"),
        ("m/tests.rs", "use super::a::A;"),
    ];
    assert!(edges(&apart).is_empty());
}

#[test]
fn a_name_that_a_facade_above_exports_is_refused() {
    let files =
        [("m.rs", "mod a; mod b; pub use b::B;"), ("m/a.rs", "\nuse super::B;"), ("m/b.rs", "pub struct B;")];
    let refused: Vec<_> = edges(&files).iter().filter_map(through_a_facade).collect();
    assert_eq!(refused, ["facade: m/a.rs:2: import crate::m::b::B itself, not through m.rs"]);
    let direct = [files[0], ("m/a.rs", "use super::b::B;"), files[2], ("n.rs", "use crate::m::B;")];
    assert!(edges(&direct).iter().all(|edge| edge.through.is_none()));
}

#[test]
fn http_is_refused_rows_of_the_store_under_any_name_and_whatever_is_of_rotation() {
    let store = ("store/rows.rs", "pub struct Row;");
    for (http, facade) in
        [("use crate::store::Row;", ""), ("use crate::service::Row;", "pub use crate::store::Row;")]
    {
        let files = [
            ("store.rs", "mod rows; pub use rows::Row;"),
            store,
            ("service.rs", facade),
            ("http/routes.rs", http),
        ];
        let edges: Vec<_> = edges(&files).into_iter().map(|edge| below("src", edge)).collect();
        assert_eq!(edges.iter().filter_map(forbidden).count(), 1, "{edges:?}");
    }
    let rotation = [("rotation.rs", "pub fn look() {}"), ("http.rs", "fn f() { crate::rotation::look() }")];
    assert_eq!(
        edges(&rotation)
            .into_iter()
            .map(|edge| below("src", edge))
            .filter_map(|edge| forbidden(&edge))
            .count(),
        1
    );
}

#[test]
fn an_import_that_goes_up_or_aside_is_refused() {
    let order: &[&[&str]] = &[&["low", "beside"], &["high"]];
    let files = [
        ("low.rs", "use crate::high::H; use crate::beside::B;"),
        ("beside.rs", "pub struct B;"),
        ("high.rs", "pub struct H; use crate::low;"),
    ];
    let refused = upward(
        "planted/",
        order,
        &edges(&files).into_iter().map(|edge| below("planted", edge)).collect::<Vec<_>>(),
    );
    assert_eq!(
        refused,
        ["upward: planted/low.rs:1: crate::beside::B", "upward: planted/low.rs:1: crate::high::H"]
    );
}
