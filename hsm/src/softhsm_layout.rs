//! Where SoftHSM keeps its tokens: beside its configuration file, or where the file of another owner says. Not for what
//! is in them.

use std::fs;
use std::path::{Path, PathBuf};

/// SoftHSM's configuration as this crate writes it; its first line marks the file as ours.
const TEMPLATE: &str = include_str!("../../softhsm-config/softhsm2.conf");
const KEY: &str = "directories.tokendir";

/// The files around a SoftHSM token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SofthsmLayout {
    /// What `SOFTHSM2_CONF` must say before the process first uses the module; absolute.
    pub configuration: PathBuf,
    /// SoftHSM's directory of tokens.
    pub tokens: PathBuf,
    /// Copies of each `token.object`: SoftHSM rewrites that file in place.
    pub copies: PathBuf,
    /// Whether the configuration is another owner's, as Debian's is: then tokens of other programs may be beside ours.
    pub shared: bool,
}

impl SofthsmLayout {
    /// A directory of this crate: `softhsm2.conf`, `tokens/` and `backup/` in it; absolute.
    #[must_use]
    pub fn own(directory: &Path) -> Self {
        Self {
            configuration: directory.join("softhsm2.conf"),
            tokens: directory.join("tokens"),
            copies: directory.join("backup"),
            shared: false,
        }
    }

    /// The layout of a configuration file, which may not exist yet. Where the file is another owner's, copies are put into
    /// `copies`. A file of ours that names another directory was moved with its tokens, and counts as `own`.
    #[must_use]
    pub fn of(configuration: &Path, copies: &Path) -> Self {
        let own = configuration.parent().map_or_else(|| Self::own(configuration), Self::own);
        let own = Self { configuration: configuration.to_owned(), ..own };
        let text = fs::read_to_string(configuration).unwrap_or_default();
        match token_directory(&text) {
            Some(tokens) if tokens != own.tokens && !(is_ours(&text) && own.tokens.is_dir()) => {
                Self { tokens, copies: copies.to_owned(), shared: true, ..own }
            }
            _ => own,
        }
    }

    /// The text of a configuration that names these tokens; none where its syntax cannot express the path.
    pub(crate) fn text(&self) -> Option<String> {
        let text = TEMPLATE.replace("@TOKENS@", self.tokens.to_str()?);
        (token_directory(&text)? == self.tokens).then_some(text)
    }

    /// Whether the configuration file says what this layout says.
    pub(crate) fn is_said_by(&self, text: &str) -> bool {
        token_directory(text).is_some_and(|said| said == self.tokens)
    }
}

fn is_ours(text: &str) -> bool {
    text.lines().next() == TEMPLATE.lines().next()
}

/// As SoftHSM's `SimpleConfigLoader` reads it: a comment begins at `#`, a value ends at a second `=`.
fn token_directory(text: &str) -> Option<PathBuf> {
    let mut values = text.lines().filter_map(|line| {
        let mut parts = line.split('#').next().unwrap_or_default().split('=');
        (parts.next().map(str::trim) == Some(KEY)).then(|| parts.next().unwrap_or_default().trim())
    });
    values.next_back().filter(|value| !value.is_empty()).map(|value| {
        let path = Path::new(value);
        // Debian's file ends it with a slash.
        path.components().collect()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn a_configuration_says_where_the_tokens_are_and_a_moved_one_is_read_as_ours() {
        let root = tempfile::tempdir().unwrap();
        let conf = root.path().join("softhsm2.conf");
        let copies = root.path().join("copies");
        let of = || SofthsmLayout::of(&conf, &copies);
        let own = SofthsmLayout::own(root.path());
        assert_eq!(of(), own, "no file yet");
        fs::write(&conf, own.text().unwrap()).unwrap();
        assert_eq!(of(), own);

        let elsewhere = SofthsmLayout::own(Path::new("/nowhere/token")).text().unwrap();
        fs::write(&conf, &elsewhere).unwrap();
        assert_eq!(
            of().tokens,
            Path::new("/nowhere/token/tokens"),
            "ours, but there are no tokens beside it"
        );
        fs::create_dir(root.path().join("tokens")).unwrap();
        assert_eq!(of(), own, "moved with its tokens");

        // Debian's file, and one whose last line counts.
        fs::write(
            &conf,
            "# SoftHSM v2\ndirectories.tokendir = /var/lib/softhsm/tokens/\nlog.level = ERROR\n",
        )
        .unwrap();
        let (tokens, configuration) = ("/var/lib/softhsm/tokens".into(), conf.clone());
        assert_eq!(of(), SofthsmLayout { configuration, tokens, copies: copies.clone(), shared: true });
    }

    #[test]
    fn a_path_that_the_file_cannot_express_is_refused() {
        for name in ["a#b", "a=b", "a\nb"] {
            assert!(SofthsmLayout::own(&Path::new("/srv").join(name)).text().is_none());
        }
        assert!(SofthsmLayout::own(Path::new("/srv/ä b")).text().is_some());
    }
}
