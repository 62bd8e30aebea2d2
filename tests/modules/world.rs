//! Directories, processes and shared memory of a row's own, and the newer Debian that some rows run in. Not for the
//! token there: `token`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::row::{Recipe, Row};

/// Whether the module of the row knows no directories but its own, or needs other libraries than this machine's.
pub(crate) fn is_needed(row: &Row) -> bool {
    row.recipe == Recipe::Opencryptoki || row.newer_debian
}

/// The command that runs this program for a row that needs a world of its own.
pub(crate) fn command(row: &Row, program: &Path, arguments: &[&str]) -> Command {
    let root = if row.newer_debian { built("sid") } else { PathBuf::new() };
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["sh", "-euc", SCRIPT, "sh"])
        .args([&root, &target()])
        .arg(program)
        .args(arguments);
    command
}

/// Only this process and what it starts sees these directories. They are gone with it.
const SCRIPT: &str = r#"
root=$1 target=$2
shift 2
enter=
if [ -n "$root" ]; then
    mkdir -p "$root$target"
    for directory in /dev /tmp "$target"; do mount --bind "$directory" "$root$directory"; done
    mount -t proc proc "$root/proc"
    enter="chroot $root"
fi
for directory in /run /var/lib/opencryptoki /dev/shm; do
    mount -t tmpfs -o mode=0755 tmpfs "$root$directory"
done
chmod 1777 "$root/dev/shm"
settings="version opencryptoki-3.1\n\nslot 3\n{\nstdll = libpkcs11_sw.so\n}\n"
# The later versions have a policy, a user of the daemon's own, and data in another form.
if [ -e "$root/etc/opencryptoki/strength.conf" ]; then
    settings="version opencryptoki-3.27\n\nslot 3\n{\nstdll = libpkcs11_sw.so\ntokversion = 3.12\n}\n"
fi
printf "$settings" >"$root/run/opencryptoki.conf"
mount --bind "$root/run/opencryptoki.conf" "$root/etc/opencryptoki/opencryptoki.conf"
export PATH="$PATH:/usr/sbin"
exec $enter sh -euc '
mkdir -p /run/lock/opencryptoki/swtok /var/lib/opencryptoki/swtok/TOK_OBJ /run/opencryptoki
if getent passwd pkcsslotd >/dev/null; then chown pkcsslotd:pkcs11 /run/opencryptoki; fi
chown -R root:pkcs11 /run/lock/opencryptoki /var/lib/opencryptoki
chmod -R 0770 /run/lock/opencryptoki /var/lib/opencryptoki
exec setpriv --groups "0,$(getent group pkcs11 | cut -d: -f3)" "$@"
' sh "$@"
"#;

/// What `make modules-long` has laid beside this program.
pub(crate) fn built(name: &str) -> PathBuf {
    let path = target().join("modules").join(name);
    assert!(path.exists(), "{} is not there: make test-modules LONG=1 builds it", path.display());
    path
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().to_owned()
}
