//! The order of modules in each crate, and imports that are wrong in any order. A new module finds its place here.

/// A crate: its name in paths, its source, and its modules, lowest first. Modules on one line do not use each other.
pub(crate) struct Layers {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) order: &'static [&'static [&'static str]],
}

/// The order of the crate `avs_kms` is in `rules.rs`, which knows more about it.
pub(crate) const CRATES: [Layers; 6] = [
    Layers { name: "avs_kms", source: "src", order: &[] },
    Layers {
        name: "hsm",
        source: "hsm/src",
        order: &[
            &["arena", "clock", "curve", "harden", "labels", "softhsm_layout", "telemetry"],
            &["key", "pkcs11"],
            &["records"],
            &["settings"],
            &["error", "health", "wrap"],
            &["token"],
            &["keys"],
            &["softhsm"],
            &["runtime"],
            &["diagnostics"],
            &["enclave"],
        ],
    },
    Layers {
        name: "bn254_ct",
        source: "hsm/bn254/src",
        order: &[
            &["constants", "mask", "stack"],
            &["field", "glv"],
            &["affine", "jacobian", "projective", "scalar"],
            &["fixed_base", "mul"],
            &["fault"],
            &["internals"],
        ],
    },
    Layers {
        name: "audit_log",
        source: "audit-log/src",
        order: &[
            &["format", "metrics", "settings"],
            &["durable_head", "error"],
            &["storage"],
            &["read"],
            &["checkpoint", "maintenance", "write"],
            &["log", "verify"],
        ],
    },
    Layers {
        name: "trusted_files",
        source: "files/src",
        order: &[&["atomic", "error"], &["trust"], &["walk"], &["open"]],
    },
    Layers {
        name: "avs_kms_client",
        source: "client/src",
        order: &[&["error", "hex", "request"], &["point", "transport"], &["response"], &["client"]],
    },
];

/// The order inside a folder, lowest first.
pub(crate) const FOLDERS: [(&str, &[&[&str]]); 1] = [(
    "src/http/",
    &[
        &["allowed_hosts", "dto", "limits", "response", "trusted_proxies"],
        &["app", "error"],
        &["extract", "server"],
        &["middleware", "routes"],
        &["fuzz", "openapi"],
    ],
)];

/// Imports that no order forbids, and that are wrong all the same.
pub(crate) const FORBIDDEN: [(&str, &str, &str); 2] = [
    ("src/http", "src/store", "a body is built from what a service returns, not from a row of the store"),
    ("src/http", "src/rotation", "http asks the services; what rotation does is none of its business"),
];
