//! What one Rust source says: its modules, its imports, and the paths that it names.
//!
//! Works on tokens, so comments and strings do not count and macro arguments do. Code under `#[cfg(test)]` is left out:
//! a test may use anything.

use std::collections::HashSet;

use super::tokens::{Kind, Token};

/// A path as written, and the inline module in which it is written.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
    /// Below the module of the file.
    pub(crate) inline: Vec<String>,
    pub(crate) import: Option<Import>,
}

/// The name that a `use` gives to its path.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) is_public: bool,
}

/// What a source says outside tests.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) found: Vec<Found>,
    /// Modules in files of their own that exist for tests only.
    pub(crate) test_modules: HashSet<String>,
    /// The names of its items.
    pub(crate) defined: HashSet<String>,
}

/// What is followed by the name of an item.
const ITEMS: [&str; 8] = ["const", "enum", "fn", "macro_rules", "static", "struct", "trait", "type"];

/// Keywords that a path may begin with, beside the names of crates and modules.
const KEYWORDS: [&str; 3] = ["crate", "self", "super"];

pub(crate) fn read(tokens: &[Token]) -> Source {
    let mut reader = Reader { tokens, source: Source::default(), inline: Vec::new(), depth: 0 };
    let mut at = 0;
    while at < tokens.len() {
        at = reader.step(at);
    }
    reader.source
}

struct Reader<'a> {
    tokens: &'a [Token],
    source: Source,
    /// Each inline module that is open, with the depth at which it began.
    inline: Vec<(String, usize)>,
    depth: usize,
}

impl Reader<'_> {
    /// Takes what begins at `at`, and says where the next begins.
    fn step(&mut self, at: usize) -> usize {
        match self.kind(at) {
            Some(Kind::Mark('#')) if self.is_mark(at + 1, '[') => {
                let end = self.matching(at + 1);
                let words: Vec<_> = (at..end).filter_map(|at| self.word(at)).collect();
                let is_test = words.starts_with(&["cfg", "test"]) || words == ["test"];
                if is_test { self.skip_item(end + 1) } else { at + 1 }
            }
            Some(Kind::Mark('{')) => {
                self.depth += 1;
                at + 1
            }
            Some(Kind::Mark('}')) => {
                self.depth -= 1;
                if self.inline.last().is_some_and(|(_, depth)| *depth == self.depth) {
                    self.inline.pop();
                }
                at + 1
            }
            Some(Kind::Word(word)) if word == "mod" && self.is_mark(at + 2, '{') => {
                if let Some(name) = self.word(at + 1) {
                    let name = name.to_owned();
                    self.inline.push((name, self.depth));
                }
                at + 2
            }
            Some(Kind::Word(word)) if word == "use" && !self.is_mark(at + 1, '<') => {
                let is_public = self.is_public(at);
                self.tree(at + 1, &mut Vec::new(), Some(is_public))
            }
            // Visibility is no use: `pub(in crate::store)`.
            Some(Kind::Word(word)) if word == "in" && at > 0 && self.is_mark(at - 1, '(') => {
                self.matching(at - 1)
            }
            Some(Kind::Word(_)) if self.begins_path(at) => self.tree(at, &mut Vec::new(), None),
            Some(Kind::Word(word)) if ITEMS.contains(&word.as_str()) => {
                let name = self.word(at + 1).map(str::to_owned);
                self.source.defined.extend(name);
                at + 1
            }
            _ => at + 1,
        }
    }

    /// Past the item that begins at `at`, after the attribute that made it one of tests.
    fn skip_item(&mut self, mut at: usize) -> usize {
        while self.is_mark(at, '#') && self.is_mark(at + 1, '[') {
            at = self.matching(at + 1) + 1;
        }
        let begin = at;
        while at < self.tokens.len() {
            if self.is_mark(at, ';') || self.is_mark(at, ',') {
                if let Some(module) = self.module_of(begin, at) {
                    self.source.test_modules.insert(module);
                }
                return at + 1;
            }
            if self.is_mark(at, '{') {
                return self.matching(at) + 1;
            }
            at = if self.is_mark(at, '(') || self.is_mark(at, '[') { self.matching(at) + 1 } else { at + 1 };
        }
        at
    }

    /// The name in `mod name;` or `pub(crate) mod name;`.
    fn module_of(&self, begin: usize, end: usize) -> Option<String> {
        let words: Vec<_> = (begin..end).filter_map(|at| self.word(at)).collect();
        let at = words.iter().position(|word| *word == "mod")?;
        words.get(at + 1).map(|name| (*name).to_owned())
    }

    /// Where the delimiter that opens at `at` is closed.
    fn matching(&self, at: usize) -> usize {
        let mut depth = 0_usize;
        for end in at..self.tokens.len() {
            match self.kind(end) {
                Some(Kind::Mark('(' | '[' | '{')) => depth += 1,
                Some(Kind::Mark(')' | ']' | '}')) => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return end;
            }
        }
        self.tokens.len()
    }

    /// Whether the `use` at `at` has a `pub` or `pub(…)` before it.
    fn is_public(&self, at: usize) -> bool {
        let before = |at: usize| at.checked_sub(1).and_then(|at| self.kind(at));
        if before(at) != Some(&Kind::Mark(')')) {
            return before(at) == Some(&Kind::Word("pub".to_owned()));
        }
        let open = (0..at).rev().find(|&at| self.is_mark(at, '(')).unwrap_or(0);
        before(open) == Some(&Kind::Word("pub".to_owned()))
    }

    /// A word followed by `::`, and not itself the continuation of a path or a lifetime.
    fn begins_path(&self, at: usize) -> bool {
        let continues = at >= 2 && self.is_separator(at - 2);
        self.is_separator(at + 1) && !continues && !(at > 0 && self.is_mark(at - 1, '\''))
    }

    /// Follows a path or a use tree from `at`, records each of its ends, and says where it stopped.
    fn tree(&mut self, mut at: usize, prefix: &mut Vec<String>, import: Option<bool>) -> usize {
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        let kept = prefix.len();
        if self.is_separator(at) {
            at += 2;
        }
        loop {
            match self.kind(at) {
                Some(Kind::Word(word)) => prefix.push(word.clone()),
                Some(Kind::Mark('*')) => prefix.push("*".to_owned()),
                Some(Kind::Mark('{')) if import.is_some() => {
                    let end = self.matching(at);
                    at += 1;
                    while at < end {
                        at = self.tree(at, prefix, import);
                        while at < end && !self.is_mark(at, ',') {
                            at += 1;
                        }
                        at += 1;
                    }
                    prefix.truncate(kept);
                    return end + 1;
                }
                _ => break, // a turbofish
            }
            at += 1;
            if !self.is_separator(at) {
                break;
            }
            at += 2;
        }
        self.record(line, at, prefix, import);
        prefix.truncate(kept);
        at
    }

    /// One end of a tree; `at` is what follows it, perhaps `as name`.
    fn record(&mut self, line: usize, at: usize, prefix: &[String], import: Option<bool>) {
        let mut path = prefix.to_vec();
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop(); // the `self` of a use group
        }
        let renamed = self.word(at).filter(|word| *word == "as").and_then(|_| self.word(at + 1));
        let name = renamed.map(str::to_owned).or_else(|| path.last().cloned()).unwrap_or_default();
        let import = import.map(|is_public| Import { name, is_public });
        let inline = self.inline.iter().map(|(name, _)| name.clone()).collect();
        self.source.found.push(Found { line, path, inline, import });
    }

    fn kind(&self, at: usize) -> Option<&Kind> {
        self.tokens.get(at).map(|token| &token.kind)
    }

    fn word(&self, at: usize) -> Option<&str> {
        match self.kind(at) {
            Some(Kind::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn is_mark(&self, at: usize, mark: char) -> bool {
        self.kind(at) == Some(&Kind::Mark(mark))
    }

    fn is_separator(&self, at: usize) -> bool {
        self.is_mark(at, ':') && self.is_mark(at + 1, ':')
    }
}

/// The path from the crate's root that `path`, written in `module`, means; none where it begins with another name.
pub(crate) fn absolute(path: &[String], module: &[String], crate_name: &str) -> Option<Vec<String>> {
    let first = path.first()?.as_str();
    if first != crate_name && !KEYWORDS.contains(&first) {
        return None;
    }
    let mut base = module.to_vec();
    let mut rest = path;
    while let [word, more @ ..] = rest {
        match word.as_str() {
            "self" => {}
            "super" => drop(base.pop()),
            "crate" => base.clear(),
            word if word == crate_name => base.clear(),
            _ => break,
        }
        rest = more;
    }
    base.extend_from_slice(rest);
    Some(base)
}
