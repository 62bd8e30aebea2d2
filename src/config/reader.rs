//! Layered reader of settings: file, environment, flags. It collects every error.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use ::config::{Config, Environment, File, FileFormat, Value, ValueKind};
use sha2::{Digest, Sha256};
use trusted_files::Readers;

use super::kinds::{Kind, Raw};
use super::setting::Section;

pub(super) struct Reader {
    /// What the layers say and no section has taken yet, with its origin.
    left: BTreeMap<String, (Raw, String)>,
    /// What was taken, for the digests.
    taken: BTreeMap<&'static str, Raw>,
    /// The settings that some layer gives.
    given: Vec<&'static str>,
    /// The data directory, which defaults name as `<data>`.
    data: PathBuf,
    errors: Vec<String>,
}

impl Reader {
    pub(super) fn new(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Self, String> {
        let mut builder = Config::builder();
        if let Some(path) = file {
            // It names the module whose code runs here, and who may log in.
            trusted_files::open(path, Readers::Everyone).map_err(|error| error.to_string())?;
            builder = builder.add_source(File::from(path).format(FileFormat::Toml));
        }
        // `AVS_KMS__SECTION__KEY`; an empty variable is a value, not an absence.
        let environment = Environment::with_prefix("AVS_KMS").prefix_separator("__").separator("__");
        builder = builder.add_source(environment);
        for (key, value) in overrides {
            builder = builder.set_override(*key, value.as_str()).map_err(|error| error.to_string())?;
        }
        let layers = builder.build().map_err(|error| error.to_string())?;
        let mut reader = Self {
            left: BTreeMap::new(),
            taken: BTreeMap::new(),
            given: Vec::new(),
            data: PathBuf::new(),
            errors: Vec::new(),
        };
        reader.flatten("", layers.cache);
        Ok(reader)
    }

    fn flatten(&mut self, prefix: &str, value: Value) {
        let origin = value.origin().unwrap_or("a flag").to_owned();
        let raw = match value.kind {
            ValueKind::Table(table) => {
                for (name, value) in table {
                    let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                    self.flatten(&key, value);
                }
                return;
            }
            ValueKind::Array(items) => Raw::List(items.into_iter().map(|item| item.to_string()).collect()),
            ValueKind::Nil => Raw::One(String::new()),
            ValueKind::Boolean(_)
            | ValueKind::I64(_)
            | ValueKind::I128(_)
            | ValueKind::U64(_)
            | ValueKind::U128(_)
            | ValueKind::Float(_)
            | ValueKind::String(_) => Raw::One(value.to_string()),
        };
        self.left.insert(prefix.to_owned(), (raw, origin));
    }

    pub(super) fn error(&mut self, key: &str, what: impl Display) {
        self.errors.push(format!("{key}: {what}"));
    }

    /// The directory that `<data>` is from now on.
    pub(super) fn set_data(&mut self, directory: &Path) {
        directory.clone_into(&mut self.data);
    }

    /// Whether some layer gives the setting.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.given.contains(&key)
    }

    /// Takes a setting. After an error it is the default, until [`Self::finish`] reports the error.
    pub(super) fn take<K: Kind>(&mut self, key: &'static str, default: &str, kind: &K) -> K::Value {
        let default = kind.layer_text(default.replace("<data>", &self.data.to_string_lossy()));
        let raw = match self.left.remove(key) {
            None => default.clone(),
            Some((raw, origin)) => {
                self.given.push(key);
                let raw = match raw {
                    Raw::One(text) if is_text_layer(&origin) => kind.layer_text(text),
                    raw @ (Raw::One(_) | Raw::List(_)) => raw,
                };
                if kind.read(&raw).is_none() {
                    self.errors.push(mismatch(key, &raw, kind, &origin));
                }
                raw
            }
        };
        let value = kind.read(&raw).or_else(|| kind.read(&default));
        self.taken.insert(key, raw);
        #[expect(clippy::expect_used, reason = "defaults are literals; every test loads them all")]
        value.expect("the default is valid")
    }

    /// The digests of all settings and of those that take a restart; or every error, unknown settings
    /// among them.
    pub(super) fn finish(mut self, sections: &[Section]) -> Result<([u8; 32], [u8; 32]), Vec<String>> {
        let settings = || sections.iter().flat_map(|section| &section.settings);
        for (key, (_, origin)) in &self.left {
            let near = super::near::nearest(key, settings().map(|setting| setting.key));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            self.errors.push(format!("{key}: unknown setting ({origin}){hint}"));
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let reloads: Vec<_> =
            settings().filter(|setting| setting.reloads).map(|setting| setting.key).collect();
        let digest = |with_reloadable: bool| {
            let mut hash = Sha256::new();
            for (key, value) in &self.taken {
                if with_reloadable || !reloads.contains(key) {
                    hash.update(format!("{key} = {value:?}\n"));
                }
            }
            hash.finalize().into()
        };
        Ok((digest(true), digest(false)))
    }
}

/// Whether a layer holds texts alone, so that commas separate the elements of a list.
fn is_text_layer(origin: &str) -> bool {
    origin == "the environment" || origin == "a flag"
}

fn mismatch<K: Kind>(key: &str, raw: &Raw, kind: &K, origin: &str) -> String {
    let expected = kind.expected();
    match raw {
        Raw::One(text) if kind.is_public() => format!("{key}: `{text}` is not {expected} ({origin})"),
        Raw::One(_) | Raw::List(_) => format!("{key}: expected {expected} ({origin})"),
    }
}
