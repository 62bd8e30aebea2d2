//! Finds the paths that a Rust source names, resolved from the crate's root.
//!
//! Works on tokens, so comments and strings do not count and macro arguments do. Not a compiler: it does not know
//! what a name means, only how it is reached.

use super::tokens::{Kind, Token};

/// A path in the source: `["crate", "store", "Store"]` or `["hsm", "G1Point"]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
}

/// The first words of paths that are followed; this crate has two names, its own and the one that its binary uses.
const ROOTS: [&str; 5] = ["avs_kms", "crate", "hsm", "self", "super"];

/// Every path from one of the roots in `tokens`; `module` is the module of the file, `["store", "keys"]`.
pub(crate) fn named(tokens: &[Token], module: &[&str]) -> Vec<Named> {
    let mut finder = Finder { tokens, found: Vec::new() };
    let mut here: Vec<String> = module.iter().map(|&name| name.to_owned()).collect();
    let mut inline: Vec<usize> = Vec::new(); // depth at which each inline module began
    let (mut depth, mut at) = (0, 0);
    while let Some(token) = tokens.get(at) {
        let begin = finder.found.len();
        at = match &token.kind {
            Kind::Mark('{') => {
                depth += 1;
                at + 1
            }
            Kind::Mark('}') => {
                depth -= 1;
                if inline.last() == Some(&depth) {
                    inline.pop();
                    here.pop();
                }
                at + 1
            }
            Kind::Word(word) if word == "mod" && finder.is_mark(at + 2, '{') => {
                if let Some(Kind::Word(name)) = finder.kind(at + 1) {
                    here.push(name.clone());
                    inline.push(depth);
                }
                at + 2
            }
            Kind::Word(word) if word == "use" && !finder.is_mark(at + 1, '<') => {
                finder.tree(at + 1, &mut Vec::new())
            }
            Kind::Word(word) if ROOTS.contains(&word.as_str()) && finder.begins_path(at) => {
                finder.tree(at, &mut Vec::new())
            }
            Kind::Text(text) if finder.is_path_text(at, text) => {
                let path = text.split("::").map(str::to_owned).collect();
                finder.found.push(Named { line: token.line, path });
                at + 1
            }
            Kind::Mark(_) | Kind::Text(_) | Kind::Word(_) => at + 1,
        };
        for name in &mut finder.found[begin..] {
            resolve(&mut name.path, &here);
        }
    }
    finder.found.retain(|name| matches!(name.path.first().map(String::as_str), Some("crate" | "hsm")));
    finder.found
}

/// Makes `path` start at the crate's root, as seen from module `here`.
fn resolve(path: &mut Vec<String>, here: &[String]) {
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop(); // the `self` of a use group
    }
    let mut base = here.to_vec();
    let mut taken = 0;
    for word in path.iter() {
        match word.as_str() {
            "self" => {}
            "super" => drop(base.pop()),
            "avs_kms" | "crate" => base.clear(),
            _ => break,
        }
        taken += 1;
    }
    if taken > 0 {
        let rest = path.split_off(taken);
        *path = std::iter::once("crate".to_owned()).chain(base).chain(rest).collect();
    }
}

struct Finder<'a> {
    tokens: &'a [Token],
    found: Vec<Named>,
}

impl Finder<'_> {
    fn kind(&self, at: usize) -> Option<&Kind> {
        self.tokens.get(at).map(|token| &token.kind)
    }

    fn is_mark(&self, at: usize, mark: char) -> bool {
        self.kind(at) == Some(&Kind::Mark(mark))
    }

    fn is_separator(&self, at: usize) -> bool {
        self.is_mark(at, ':') && self.is_mark(at + 1, ':')
    }

    /// A root word followed by `::`, and not itself the continuation of a path or a lifetime.
    fn begins_path(&self, at: usize) -> bool {
        let continues =
            at >= 3 && self.is_separator(at - 2) && matches!(self.kind(at - 3), Some(Kind::Word(_)));
        self.is_separator(at + 1) && !continues && !(at > 0 && self.is_mark(at - 1, '\''))
    }

    /// A string that is nothing but a path, as in `#[serde(with = "crate::key::hex")]`; documentation is not one.
    fn is_path_text(&self, at: usize, text: &str) -> bool {
        let documentation = at >= 2 && self.kind(at - 2) == Some(&Kind::Word("doc".to_owned()));
        let mut words = text.split("::");
        let rooted = words.next().is_some_and(|first| ROOTS.contains(&first));
        let mut words = words.peekable();
        rooted
            && !documentation
            && words.peek().is_some()
            && words.all(|w| !w.is_empty() && w.chars().all(|c| c == '_' || c.is_alphanumeric()))
    }

    /// Follows a path or a use tree from `at`, records each of its ends, and says where it stopped.
    fn tree(&mut self, mut at: usize, prefix: &mut Vec<String>) -> usize {
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        let kept = prefix.len();
        if self.is_separator(at) {
            at += 2;
        }
        loop {
            match self.kind(at) {
                Some(Kind::Word(word)) => prefix.push(word.clone()),
                Some(Kind::Mark('*')) => prefix.push("*".to_owned()),
                Some(Kind::Mark('{')) => {
                    at += 1;
                    while at < self.tokens.len() && !self.is_mark(at, '}') {
                        let before = at;
                        at = self.tree(at, prefix);
                        while at < self.tokens.len() && !self.is_mark(at, ',') && !self.is_mark(at, '}') {
                            at += 1; // `as name`
                        }
                        at += usize::from(self.is_mark(at, ','));
                        assert!(at > before, "a use tree that does not end, line {line}");
                    }
                    prefix.truncate(kept);
                    return at + 1;
                }
                _ => break, // a turbofish
            }
            at += 1;
            if !self.is_separator(at) {
                break;
            }
            at += 2;
        }
        self.found.push(Named { line, path: prefix.clone() });
        prefix.truncate(kept);
        at
    }
}
