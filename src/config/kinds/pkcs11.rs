//! Kinds of values that concern the PKCS#11 module and its token.

use super::{Text, text};
use crate::request_text::is_visible;

/// The label of a token: a text that shows what it holds, because operators compare it.
pub(in crate::config) const LABEL: Text<String> = text("at most 32 bytes of visible characters", |text| {
    (text.len() <= 32 && text.chars().all(is_visible)).then(|| text.to_owned())
});

/// The label of a key in a token.
pub(in crate::config) const KEY_LABEL: Text<String> =
    text("at most 128 bytes of visible characters", |text| {
        (text.len() <= 128 && text.chars().all(is_visible)).then(|| text.to_owned())
    });

/// The serial number of a token.
pub(in crate::config) const SERIAL: Text<String> = text("at most 16 bytes of visible characters", |text| {
    (text.len() <= 16 && text.chars().all(is_visible)).then(|| text.to_owned())
});

/// A text for a library of C: it ends where a NUL is.
pub(in crate::config) const MODULE_TEXT: Text<String> =
    text("text without NUL", |text| (!text.contains('\0')).then(|| text.to_owned()));

/// A variable of the environment of a PKCS#11 module. Its value may be an address with credentials.
pub(in crate::config) const VARIABLE: Text<(String, String)> = Text {
    public: false,
    ..text(
        "NAME=value, and NAME is not PATH, SOFTHSM2_CONF, LD_…, GLIBC_…, GCONV_…, MALLOC_…, RUST_… or AVS_KMS…",
        |text| {
            let (name, value) = text.split_once('=')?;
            let ours = ["LD_", "GLIBC_", "GCONV_", "MALLOC_", "RUST_", "AVS_KMS"];
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && name.starts_with(|first: char| !first.is_ascii_digit());
            let is_ours =
                ["PATH", "SOFTHSM2_CONF"].contains(&name) || ours.iter().any(|it| name.starts_with(it));
            (is_name && !is_ours && !value.contains('\0')).then(|| (name.to_owned(), value.to_owned()))
        },
    )
};

#[cfg(test)]
mod tests {
    use super::VARIABLE;

    #[test]
    fn a_variable_has_a_name_and_is_not_one_of_the_loader_or_of_this_program() {
        let read = |text| (VARIABLE.read)(text);
        for (given, name, value) in [
            ("KRYOPTIC_CONF=/etc/kryoptic.conf", "KRYOPTIC_CONF", "/etc/kryoptic.conf"),
            (
                "P11_KIT_SERVER_ADDRESS=unix:path=/run/p11.sock",
                "P11_KIT_SERVER_ADDRESS",
                "unix:path=/run/p11.sock",
            ),
            ("ChrystokiConfigurationPath=/etc", "ChrystokiConfigurationPath", "/etc"),
            ("_EMPTY=", "_EMPTY", ""),
        ] {
            assert_eq!(read(given), Some((name.to_owned(), value.to_owned())), "{given}");
        }
        for refused in [
            "",
            "KRYOPTIC_CONF",
            "=/etc",
            "1=2",
            "A B=c",
            "A-B=c",
            "Ä=b",
            "A\0=b",
            "A=b\0c",
            "PATH=/tmp",
            "LD_PRELOAD=/tmp/x.so",
            "LD_LIBRARY_PATH=/tmp",
            "GLIBC_TUNABLES=x",
            "GCONV_PATH=/tmp",
            "MALLOC_ARENA_MAX=1",
            "RUST_LOG=trace",
            "SOFTHSM2_CONF=/tmp/softhsm2.conf",
            "AVS_KMS__PKCS11__MODULE=/tmp/x.so",
            "AVS_KMS_CONFIG=/tmp/x.toml",
        ] {
            assert_eq!(read(refused), None, "{refused:?}");
        }
    }
}
