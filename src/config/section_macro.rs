//! The macro that makes the struct of a section and its descriptions from one text.
//!
//! A setting is described once. From it come the struct, the example file, the help, the environment
//! variable and the reference page.

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
                            reloads: $crate::config::section_macro::reloads!($($reloads)?),
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
