//! Takes settings one by one out of the layers and collects what is wrong with them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ::config::{Config, Environment, File, FileFormat, Value, ValueKind};
use sha2::{Digest, Sha256};

pub(super) struct Reader {
    /// What the layers say and nobody has taken yet.
    left: BTreeMap<String, (String, String)>,
    /// What was taken, for the digest.
    taken: BTreeMap<&'static str, String>,
    mistakes: Vec<String>,
}

impl Reader {
    pub(super) fn new(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Self, String> {
        let source = match file {
            Some(path) => File::from(path).format(FileFormat::Toml).required(true),
            None => File::from(Path::new(super::DEFAULT_FILE)).format(FileFormat::Toml).required(false),
        };
        // `AVS_KMS__SECTION__KEY`; an empty variable is a value, not an absence.
        let environment = Environment::with_prefix("AVS_KMS").prefix_separator("__").separator("__");
        let mut builder = Config::builder().add_source(source).add_source(environment);
        for (key, value) in overrides {
            builder = builder.set_override(*key, value.as_str()).map_err(|error| error.to_string())?;
        }
        let layers = builder.build().map_err(|error| error.to_string())?;
        let mut reader = Self { left: BTreeMap::new(), taken: BTreeMap::new(), mistakes: Vec::new() };
        reader.flatten("", layers.cache);
        Ok(reader)
    }

    fn flatten(&mut self, prefix: &str, value: Value) {
        let origin = value.origin().unwrap_or("a flag").to_owned();
        if let ValueKind::Table(table) = value.kind {
            for (name, value) in table {
                let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                self.flatten(&key, value);
            }
        } else if let ValueKind::Array(_) | ValueKind::Nil = value.kind {
            self.mistakes.push(format!("{prefix}: a list is not a value here ({origin})"));
        } else {
            self.left.insert(prefix.to_owned(), (value.to_string(), origin));
        }
    }

    pub(super) fn mistake(&mut self, key: &str, what: impl Display) {
        self.mistakes.push(format!("{key}: {what}"));
    }

    pub(super) fn text(&mut self, key: &'static str, default: &str) -> String {
        let value = self.left.remove(key).map_or_else(|| default.to_owned(), |(value, _)| value);
        self.taken.insert(key, value.clone());
        value
    }

    pub(super) fn path(&mut self, key: &'static str, default: &Path) -> PathBuf {
        let value = self.text(key, &default.to_string_lossy());
        PathBuf::from(value)
    }

    /// A path; an empty text is none.
    pub(super) fn path_or_none(&mut self, key: &'static str) -> Option<PathBuf> {
        Some(self.text(key, "")).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// The URL of an HTTP service, or an empty text. A mistake does not repeat it: it may hold an API key.
    pub(super) fn url(&mut self, key: &'static str) -> String {
        let url = self.text(key, "");
        let usable = ["http://", "https://"].iter().any(|scheme| {
            url.strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
        });
        if !url.is_empty() && !usable {
            self.mistake(key, "not a URL such as https://host/path");
        }
        url
    }

    /// URLs with a space between; a mistake does not repeat them.
    pub(super) fn urls(&mut self, key: &'static str) -> Vec<String> {
        let text = self.text(key, "");
        let urls: Vec<_> = text.split_ascii_whitespace().map(str::to_owned).collect();
        let web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !urls.iter().all(web) {
            self.mistake(key, "not URLs such as https://host/path, with a space between");
        }
        urls
    }

    /// A value that `parse` understands; on a mistake the default stands in until the end.
    fn parsed<T>(
        &mut self,
        key: &'static str,
        default: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        let origin = self.left.get(key).map(|(_, origin)| origin.clone());
        let value = self.text(key, default);
        if let Some(parsed) = parse(&value) {
            return parsed;
        }
        let origin = origin.unwrap_or_default();
        self.mistakes.push(format!("{key}: `{value}` is not {expected} ({origin})"));
        #[expect(clippy::expect_used, reason = "defaults are literals; every test loads them all")]
        parse(default).expect("the default is valid")
    }

    pub(super) fn value<T: FromStr>(&mut self, key: &'static str, default: &str, expected: &str) -> T {
        self.parsed(key, default, expected, |text| text.parse().ok())
    }

    pub(super) fn number<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + Display + PartialOrd,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.parsed(key, &default.to_string(), &expected, parse)
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, default: &str, choices: &[(&str, T)]) -> T {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of {}", words.join(", "));
        let parse = |text: &str| choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        self.parsed(key, default, &expected, parse)
    }

    pub(super) fn duration(&mut self, key: &'static str, default: &str) -> Duration {
        self.parsed(key, default, "a time such as 500ms, 10s or 5m, more than 0 and at most 1h", |text| {
            let duration: Duration = text.parse::<jiff::SignedDuration>().ok()?.try_into().ok()?;
            (!duration.is_zero() && duration <= Duration::from_secs(3_600)).then_some(duration)
        })
    }

    /// A longer time: whole seconds, up to 90 days.
    pub(super) fn days(&mut self, key: &'static str, default: &str) -> Duration {
        self.parsed(key, default, "a time such as 15m or 12h, from 1s to 2160h (90 days)", |text| {
            let duration: Duration = text.parse::<jiff::SignedDuration>().ok()?.try_into().ok()?;
            let whole = duration.subsec_nanos() == 0 && !duration.is_zero();
            (whole && duration <= Duration::from_secs(90 * 86_400)).then_some(duration)
        })
    }

    /// The digests of all settings and of those that take a restart; or every mistake, unknown settings among them.
    pub(super) fn finish(mut self) -> Result<([u8; 32], [u8; 32]), Vec<String>> {
        for (key, (_, origin)) in &self.left {
            self.mistakes.push(format!("{key}: there is no such setting ({origin})"));
        }
        if !self.mistakes.is_empty() {
            return Err(self.mistakes);
        }
        let digest = |which: fn(&str) -> bool| {
            let mut hash = Sha256::new();
            for (key, value) in self.taken.iter().filter(|(key, _)| which(key)) {
                hash.update(format!("{key} = {value:?}\n"));
            }
            hash.finalize().into()
        };
        Ok((digest(|_| true), digest(|key| !key.starts_with("limits.") && key != "log.level")))
    }
}
