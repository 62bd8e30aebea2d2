//! Which module of the service may use which. A new module gets its place here first.

use super::paths::named;
use super::tokens::{Kind, Token, tokens};

/// Lowest first; modules on one line do not use each other. `hsm` is below all of them, `cli` and `main` above.
pub(crate) const ORDER: &[&[&str]] = &[
    &["request_id", "request_text", "outbound", "clock", "sandbox"],
    &["chain"],
    &["eigenlayer"],
    &["key"],
    &["metrics"],
    &["auth"],
    &["store"],
    &["backup"],
    &["service"],
    &["rotation"],
    &["http"],
];

/// What any module may name of `hsm`: ids and public points. The rest is the way to a key and belongs to custody.
const PUBLIC_VALUES: &[&str] = &["G1Point", "G2Point", "KeyId", "KeyIdError", "PointError", "PublicKey"];

/// Plain values that the services exchange with custody; of no use to the other modules.
const EXCHANGED_WITH_CUSTODY: &[&str] = &["EnclaveError", "NewKey", "StoredName"];

/// What authenticates the store's rows, and the place of wrapped records; no key is reached through them.
const OF_THE_STORE: [&str; 5] = ["StoreKey", "Records", "RecordsError", "Found", "RECORD_MAX"];

/// The one owner of the enclave handle.
const CUSTODY: &str = "service/custody.rs";

/// The crates that only `hsm` may name.
const TOKEN_CRATES: [&str; 2] = ["cryptoki", "cryptoki_sys"];

/// Macros that talk to a terminal.
const PRINTING: [&str; 5] = ["dbg", "eprint", "eprintln", "print", "println"];

/// Place of a module in the order; none where it is not known.
pub(crate) fn rank(module: &str) -> Option<usize> {
    match module {
        "cli" | "lib" | "main" => Some(ORDER.len()),
        _ => ORDER.iter().position(|level| level.contains(&module)),
    }
}

/// Offences of the file `name` (relative to `src/`), each as `line: what`.
pub(crate) fn check(name: &str, source: &str) -> Vec<String> {
    let file = File::new(name);
    let tokens = tokens(source);
    let mut offences = Vec::new();
    if file.module != "config" && rank(file.module).is_none() {
        offences.push((1, format!("the order does not know the module {}", file.module)));
    }
    for name in named(&tokens, &file.path) {
        let words: Vec<&str> = name.path.iter().map(String::as_str).collect();
        let refusal = match words.as_slice() {
            ["hsm", rest @ ..] => file.refuses_hsm(rest.first().copied()),
            ["crate", rest @ ..] => file.refuses_module(rest.first().copied()),
            _ => None,
        };
        offences.extend(refusal.map(|why| (name.line, format!("{}: {why}", name.path.join("::")))));
    }
    offences.extend(file.loose_words(&tokens));
    offences.sort();
    offences.dedup();
    offences.into_iter().map(|(line, what)| format!("{line}: {what}")).collect()
}

/// A source file and its module.
struct File<'a> {
    name: &'a str,
    module: &'a str,
    path: Vec<&'a str>,
}

impl<'a> File<'a> {
    fn new(name: &'a str) -> Self {
        let stem = name.strip_suffix(".rs").expect("a Rust file");
        let module = stem.split('/').next().unwrap_or(stem);
        let path = if ["lib", "main"].contains(&stem) { Vec::new() } else { stem.split('/').collect() };
        Self { name, module, path }
    }

    fn is_command_line(&self) -> bool {
        self.module == "cli"
    }

    /// Why this file may not name `word` of `hsm`; none where it may.
    fn refuses_hsm(&self, word: Option<&str>) -> Option<String> {
        if self.module == "config" {
            return Some("config is a leaf".to_owned());
        }
        let named = |list: &[&str]| word.is_some_and(|word| list.contains(&word));
        let custody = self.is_command_line() || self.name == CUSTODY;
        let of_the_store = self.module == "store" || self.name.ends_with("tests.rs");
        if named(&OF_THE_STORE) && of_the_store {
            return None;
        }
        if custody || named(PUBLIC_VALUES) || (self.module == "service" && named(EXCHANGED_WITH_CUSTODY)) {
            return None;
        }
        Some(format!("only {CUSTODY} and cli name more of hsm than ids, public points and their errors"))
    }

    /// Why this file may not name the module `other` of this crate; none where it may.
    fn refuses_module(&self, other: Option<&str>) -> Option<String> {
        let top = rank(self.module) == Some(ORDER.len());
        match other {
            Some(other) if other == self.module => None,
            // A text of the configuration and one of a request have one rule of what is visible.
            Some("request_text") if self.module == "config" => None,
            _ if self.module == "config" => Some("config is a leaf".to_owned()),
            Some("config") => (!top).then(|| "only cli and main read the configuration".to_owned()),
            None | Some("*") => (!top).then(|| "the crate's root hides which module is used".to_owned()),
            Some(other) => match (rank(self.module), rank(other)) {
                (_, None) if !top => Some(format!("the order does not know the module {other}")),
                (Some(mine), Some(theirs)) if mine < theirs => {
                    Some(format!("{other} is above {}", self.module))
                }
                (Some(mine), Some(theirs)) if mine == theirs && !top => {
                    Some(format!("{other} is beside {}", self.module))
                }
                _ => None,
            },
        }
    }

    /// Words that are refused wherever they stand, path or not.
    fn loose_words(&self, tokens: &[Token]) -> Vec<(usize, String)> {
        let mut offences = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let Kind::Word(word) = &token.kind else { continue };
            let called = tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Mark('!'));
            if TOKEN_CRATES.contains(&word.as_str()) {
                offences.push((token.line, format!("{word}: only the crate hsm speaks PKCS#11")));
            }
            if called && PRINTING.contains(&word.as_str()) && !self.is_command_line() {
                offences.push((token.line, format!("{word}!: only cli talks to a terminal")));
            }
        }
        offences
    }
}
