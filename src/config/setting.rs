//! Descriptions of settings, from which the documents are made.

/// One section of the configuration file.
#[derive(Debug)]
pub struct Section {
    /// Its name in brackets.
    pub name: &'static str,
    /// What it is about.
    pub text: String,
    /// Its settings, in the order of the documents.
    pub settings: Vec<Setting>,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its full name, such as `server.listen`.
    pub key: &'static str,
    /// Its default as TOML. `<data>` is the data directory.
    pub default: String,
    /// Type, unit and allowed values.
    pub expected: String,
    /// What it does and when to change it.
    pub text: String,
    /// Whether SIGHUP applies a change. Otherwise a change takes a restart.
    pub reloads: bool,
}

impl Setting {
    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("AVS_KMS__{}", self.key.replace('.', "__").to_uppercase())
    }

    /// Its name inside its section.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }
}

/// The paragraphs of doc comments: single line ends become spaces.
pub(super) fn paragraphs(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines.iter().map(|line| line.trim()) {
        match line {
            "" => text.push_str("\n\n"),
            line => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push(' ');
                }
                text.push_str(line);
            }
        }
    }
    text
}
