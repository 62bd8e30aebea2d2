//! The example file and the reference page of the settings.

use avs_kms::config::{Section, sections};

use crate::wrapped;

const EXAMPLE: &str = "\
# Every setting of avs-kms with its default. Copy this file to avs-kms.toml and keep what differs.
# Generated from src/config/sections; docs/reference/configuration.md says the same at length.
#
# The file is --config FILE, else AVS_KMS_CONFIG; the working directory is not searched. It and each
# directory above it must belong to root or the user of the service, with no other writer.
# A setting `server.listen` is AVS_KMS__SERVER__LISTEN in the environment; a list is separated by
# commas there. Flags override the environment, which overrides this file. Unknown settings are
# refused. <data> is the data directory. SIGHUP applies settings marked (reload); others take a
# restart.
";

const PAGE: &str = "\
# Configuration

<!-- Generated from src/config/sections by tests/reference.rs. Do not edit. -->

Settings come from, weakest first:

1. the defaults below,
2. the configuration file: `--config FILE`, else `AVS_KMS_CONFIG`; the working directory is not
   searched,
3. the environment: `server.listen` is `AVS_KMS__SERVER__LISTEN`,
4. the flags `--data` and `serve --listen`.

Lists are arrays in the file and texts separated by commas in the environment. Times are written
`500ms`, `10s` or `5m`. `<data>` is the data directory, `data.directory`.

The program refuses an unknown setting and reports all errors at once, with exit status 2. SIGHUP
reads the file again and applies the settings that say so; the others take a restart. If the file
has an error, SIGHUP changes nothing and the log names the error.

No setting is a secret by itself: PIN, private keys and webhook secret are in files that settings
name. But a URL may hold an API key (`chain.rpc_url`, webhooks): give the file mode 0600 then.

The configuration file, the data directory, the PKCS#11 module and the files of `[tls]` decide what
the service does. Each of them, and each directory above it, must belong to root or the user of the
service, and no other user may be able to write it; a directory with the sticky bit, such as `/tmp`,
may stand above. A symbolic link is followed where it and what is on its way pass the same test. The
service refuses anything else and names owner, mode and the command that repairs it.
";

pub(crate) fn example() -> String {
    let mut text = EXAMPLE.to_owned();
    for Section { name, text: about, settings } in sections() {
        text += "\n";
        text += &wrapped(&plain(&about), "# ");
        text += &format!("[{name}]\n");
        for setting in settings {
            let reload = if setting.reloads { " (reload)" } else { "" };
            text += "\n";
            text += &wrapped(&format!("{}{reload}", plain(&setting.text)), "# ");
            text += &wrapped(&format!("Expected: {}.", plain(&setting.expected)), "# ");
            text += &format!("#{} = {}\n", setting.name(), setting.default);
        }
    }
    text
}

pub(crate) fn page() -> String {
    let mut text = PAGE.to_owned();
    for Section { name, text: about, settings } in sections() {
        text += &format!("\n## `[{name}]`\n\n");
        text += &wrapped(&about, "");
        for setting in settings {
            let change = if setting.reloads { "SIGHUP" } else { "restart" };
            text += &format!("\n### `{}`\n\n", setting.key);
            text += &wrapped(&setting.text, "");
            text += &format!("\n- Default: `{}`\n", setting.default);
            text += &wrapped(&format!("- Value: {}", setting.expected), "");
            text += &format!("- Environment: `{}`\n- A change takes: {change}\n", setting.variable());
        }
    }
    text
}

/// Without the marks of code, which a comment does not show.
fn plain(text: &str) -> String {
    text.replace('`', "")
}
