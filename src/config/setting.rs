//! Descriptions of settings, and the macro that makes a section's struct and descriptions from one
//! text.
//!
//! A setting is described once. From it come the struct, the example file, the help, the environment
//! variable and the reference page.

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

/// A section: `name: Type = "default", kind` for each setting, and `reloads` where SIGHUP applies a
/// change. The doc comments are the documentation for users, too.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        [$section:literal] $vis:vis struct $Section:ident {
            $( $(#[doc = $text:literal])+
               $field:ident: $Type:ty = $default:literal, $kind:expr $(, $reloads:ident)?; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        $vis struct $Section { $( $(#[doc = $text])+ $vis $field: $Type, )+ }

        impl $Section {
            /// Takes the section's settings.
            pub(in crate::config) fn read(reader: &mut $crate::config::reader::Reader) -> Self {
                Self { $( $field: reader.take(concat!($section, ".", stringify!($field)), $default, &$kind), )+ }
            }

            /// What the documents say about it.
            pub(in crate::config) fn describe() -> $crate::config::setting::Section {
                use $crate::config::kinds::Kind;
                $crate::config::setting::Section {
                    name: $section,
                    text: $crate::config::setting::paragraphs(&[$($about),+]),
                    settings: vec![ $( {
                        let kind: &dyn Kind<Value = $Type> = &$kind;
                        $crate::config::setting::Setting {
                            key: concat!($section, ".", stringify!($field)),
                            default: kind.to_toml($default),
                            expected: kind.expected(),
                            text: $crate::config::setting::paragraphs(&[$($text),+]),
                            reloads: $crate::config::setting::reloads!($($reloads)?),
                        }
                    }, )+ ],
                }
            }
        }
    };
}

macro_rules! reloads {
    () => {
        false
    };
    (reloads) => {
        true
    };
}

pub(super) use {reloads, section};
