//! The files of a crate and which uses which, re-exports followed to the file that defines the name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::source::{Found, Source, absolute, read};
use super::tokens::tokens;

/// A crate's source: its name in paths, and its files by their path below `src/`.
pub(crate) struct Crate {
    name: String,
    modules: BTreeMap<Vec<String>, Module>,
}

struct Module {
    file: String,
    source: Source,
}

/// A file names something of another file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) line: usize,
    pub(crate) to: String,
    /// As it would be written where every facade is left out.
    pub(crate) path: String,
    /// The facade above `from` through which it is named, if it is.
    pub(crate) through: Option<String>,
}

impl Crate {
    /// `files`: the path below `src/` and the text of each.
    pub(crate) fn new(name: &str, files: &[(String, String)]) -> Self {
        let mut modules: BTreeMap<Vec<String>, Module> = BTreeMap::new();
        for (file, text) in files {
            let path = module_of(file);
            modules.insert(path, Module { file: file.clone(), source: read(&tokens(text)) });
        }
        let is_test = |path: &[String]| {
            (1..=path.len()).any(|end| {
                let (parent, name) = (&path[..end - 1], &path[end - 1]);
                modules.get(parent).is_some_and(|module| module.source.test_modules.contains(name))
            })
        };
        let tests: Vec<_> = modules.keys().filter(|path| is_test(path)).cloned().collect();
        for path in tests {
            modules.remove(&path);
        }
        Self { name: name.to_owned(), modules }
    }

    /// Every use of another file, each pair of line and path once.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let mut edges = BTreeSet::new();
        for (path, module) in &self.modules {
            let imports = self.imports(path, module);
            for found in &module.source.found {
                // A facade that re-exports what is below it does not use it.
                let named = self.named(path, found, &imports);
                let Some(target) = named.and_then(|named| self.resolve(&named, &mut HashSet::new())) else {
                    continue;
                };
                let exports = found.import.as_ref().is_some_and(|import| import.is_public);
                if target.module == *path || (exports && target.module.starts_with(path)) {
                    continue;
                }
                let to = &self.modules[&target.module].file;
                let is_above = |facade: &Vec<String>| facade.len() < path.len() && path.starts_with(facade);
                let through = target.facades.iter().find(|facade| is_above(facade));
                edges.insert(Edge {
                    from: module.file.clone(),
                    line: found.line,
                    to: to.clone(),
                    path: [&["crate".to_owned()], target.path.as_slice()].concat().join("::"),
                    through: through.map(|facade| self.modules[facade].file.clone()),
                });
            }
        }
        edges.into_iter().collect()
    }

    /// The names that the imports of a file give, each with the path that it means.
    fn imports(&self, path: &[String], module: &Module) -> HashMap<String, Vec<String>> {
        let mut imports = HashMap::new();
        for found in &module.source.found {
            let Some(import) = &found.import else { continue };
            if let Some(named) = self.named(path, found, &HashMap::new()) {
                imports.insert(import.name.clone(), named);
            }
        }
        imports
    }

    /// The path from the crate's root that is named; none for other crates.
    fn named(
        &self,
        path: &[String],
        found: &Found,
        imports: &HashMap<String, Vec<String>>,
    ) -> Option<Vec<String>> {
        let here = [path, found.inline.as_slice()].concat();
        if let Some(named) = absolute(&found.path, &here, &self.name) {
            return Some(named);
        }
        let (first, rest) = found.path.split_first()?;
        if let Some(imported) = imports.get(first) {
            return Some([imported.as_slice(), rest].concat());
        }
        let child = [path, std::slice::from_ref(first)].concat();
        self.modules.contains_key(&child).then(|| [child.as_slice(), rest].concat())
    }

    /// The module that defines what `named` means, however many facades re-export it.
    fn resolve(&self, named: &[String], seen: &mut HashSet<Vec<String>>) -> Option<Target> {
        if !seen.insert(named.to_vec()) {
            return None;
        }
        let mut module: Vec<String> = Vec::new();
        let mut rest = named;
        while let [first, more @ ..] = rest {
            let child = [module.as_slice(), std::slice::from_ref(first)].concat();
            if !self.modules.contains_key(&child) {
                break;
            }
            (module, rest) = (child, more);
        }
        let [item, more @ ..] = rest else {
            return Some(Target { path: module.clone(), module, facades: Vec::new() });
        };
        let source = &self.modules.get(&module)?.source;
        for found in &source.found {
            let Some(import) = found.import.as_ref().filter(|_| found.inline.is_empty()) else { continue };
            let is_glob = import.name == "*";
            if import.name != *item && !is_glob {
                continue;
            }
            let Some(mut next) = self.named(&module, found, &HashMap::new()) else { continue };
            if is_glob {
                next.pop();
                next.push(item.clone());
            }
            next.extend_from_slice(more);
            let Some(mut target) = self.resolve(&next, seen) else { continue };
            // A glob gives a name only if the name is there.
            if is_glob && !self.modules[&target.module].source.defined.contains(item) {
                continue;
            }
            target.facades.push(module);
            return Some(target);
        }
        let path = [module.as_slice(), std::slice::from_ref(item)].concat();
        Some(Target { module, path, facades: Vec::new() })
    }
}

/// Where a name is defined.
struct Target {
    module: Vec<String>,
    path: Vec<String>,
    /// The modules that re-export it on the way.
    facades: Vec<Vec<String>>,
}

/// The module that a file is, as its names from the crate's root, which is the empty path.
pub(crate) fn module_of(file: &str) -> Vec<String> {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    if ["lib", "main"].contains(&stem) { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}

/// Groups of files that use each other in a circle, each in alphabetical order.
pub(crate) fn circles(edges: &[Edge]) -> Vec<Vec<String>> {
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for edge in edges {
        uses.entry(&edge.from).or_default().insert(&edge.to);
    }
    let reachable = |from: &str| {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(next) = open.pop() {
            for to in uses.get(next.as_str()).into_iter().flatten() {
                if seen.insert((*to).to_owned()) {
                    open.push((*to).to_owned());
                }
            }
        }
        seen
    };
    let all: BTreeMap<&str, BTreeSet<String>> = uses.keys().map(|file| (*file, reachable(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, reached) in &all {
        if reached.contains(*file) {
            let back =
                |other: &&String| all.get(other.as_str()).is_some_and(|reached| reached.contains(*file));
            circles.insert(reached.iter().filter(back).cloned().collect::<Vec<_>>());
        }
    }
    circles.into_iter().collect()
}
