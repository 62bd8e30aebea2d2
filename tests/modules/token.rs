//! A token of each kind, in a directory of its own: tools of the vendors make it, daemons end with it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::rows::{Recipe, Row};
use crate::support::{MODULE, process, text};

pub(crate) const LABEL: &str = "avs";
/// opencryptoki takes no longer one.
pub(crate) const PIN: &str = "8letters";
/// `pkcs11.environment` refuses it: another setting is for SoftHSM.
const SOFTHSM2_CONF: &str = "SOFTHSM2_CONF";
const SO_PIN: &str = "87654321-87654321";

/// A token that `avs-kms init` can use, and how the service reaches it.
pub(crate) struct Token {
    /// The module of the device, without anything before it.
    pub(crate) module: PathBuf,
    /// Rules of the fault-injecting module, which emulates a device over it.
    pub(crate) rules: Option<&'static str>,
    /// Settings of the service, as its environment has them.
    pub(crate) settings: Vec<(OsString, OsString)>,
    /// What the module reads itself: for the tools in their environment, for the service in `pkcs11.environment`.
    variables: Vec<(String, String)>,
    pub(crate) pin_file: PathBuf,
    daemons: Vec<Child>,
}

impl Drop for Token {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Token {
    /// Makes it below `place`, an empty directory of this row; `data` is the data directory to come.
    pub(crate) fn make(row: &Row, place: &Path, data: &Path) -> Self {
        let mut made = Self {
            module: MODULE.into(),
            rules: None,
            settings: Vec::new(),
            variables: Vec::new(),
            pin_file: place.join("pin"),
            daemons: Vec::new(),
        };
        match row.recipe {
            Recipe::Softhsm => {
                made.pin_file = data.join("pin");
                return made;
            }
            Recipe::Emulated { rules, .. } => {
                made.rules = Some(rules);
                made.softhsm(place);
            }
            Recipe::P11Kit => {
                made.softhsm(place);
                made.serve_by_p11_kit(place);
            }
            Recipe::Opencryptoki => made.opencryptoki(place),
            Recipe::Nss => made.nss(place),
            Recipe::Kryoptic => made.kryoptic(place),
            Recipe::Craton => made.craton(place),
        }
        write_secret(&made.pin_file, PIN);
        made.set("AVS_KMS__PKCS11__MODULE", made.module.clone());
        made.set("AVS_KMS__PKCS11__LABEL", LABEL);
        made.set("AVS_KMS__PKCS11__SOFTHSM_CONF", "");
        made.set("AVS_KMS__PKCS11__PIN_FILE", made.pin_file.clone());
        let variables = made.variables.iter().filter(|(name, _)| name != SOFTHSM2_CONF);
        let variables: Vec<_> = variables.map(|(name, value)| format!("{name}={value}")).collect();
        made.set("AVS_KMS__PKCS11__ENVIRONMENT", variables.join(","));
        made
    }

    fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        // What was set first is the recipe's own.
        if !self.settings.iter().any(|(set, _)| set == name) {
            self.settings.push((name.into(), value.as_ref().into()));
        }
    }

    fn variable(&mut self, name: &str, value: impl ToString) {
        self.variables.push((name.to_owned(), value.to_string()));
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).envs(self.variables.iter().cloned()).stdin(Stdio::null());
        command
    }

    fn must(&self, program: &str, arguments: &[&str]) {
        let output = process::output(&mut self.command(program, arguments));
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
    }

    fn softhsm(&mut self, place: &Path) {
        let tokens = place.join("softhsm");
        fs::create_dir(&tokens).unwrap();
        let conf = place.join("softhsm2.conf");
        let lines = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(&conf, lines).unwrap();
        self.variable(SOFTHSM2_CONF, conf.display());
        self.set(SOFTHSM2_CONF, conf);
        self.set("AVS_KMS__SANDBOX__EXTRA_PATHS", place);
        let names = ["--init-token", "--free", "--label", LABEL];
        self.must("softhsm2-util", &[&names[..], &["--so-pin", SO_PIN, "--pin", PIN]].concat());
    }

    fn serve_by_p11_kit(&mut self, place: &Path) {
        let socket = place.join("p11.sock");
        let token = format!("pkcs11:token={LABEL}");
        let arguments =
            ["server", "--foreground", "--provider", MODULE, "--name", socket.to_str().unwrap(), &token];
        let daemon = self.command("p11-kit", &arguments).stdout(Stdio::null()).spawn().unwrap();
        self.daemons.push(daemon);
        appears(&socket);
        self.variables.clear();
        self.variable("P11_KIT_SERVER_ADDRESS", format!("unix:path={}", socket.display()));
        self.module = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so".into();
    }

    /// In the directories that the library knows; [`in_its_own_world`] has made them this row's own.
    fn opencryptoki(&mut self, place: &Path) {
        let daemon = self.command("pkcsslotd", &[]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(daemon.unwrap().success(), "pkcsslotd does not start");
        let slot = ["-c", "3"];
        let mut init = self.command("pkcsconf", &["-I", "-c", "3", "-S", "87654321"]);
        let mut child = init.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        use std::io::Write;
        child.stdin.take().unwrap().write_all(format!("{LABEL}\n").as_bytes()).unwrap();
        assert!(process::wait(&mut child).success(), "pkcsconf -I");
        self.must("pkcsconf", &[&["-P"], &slot[..], &["-S", "87654321", "-n", "56785678"]].concat());
        self.must("pkcsconf", &[&["-u"], &slot[..], &["-S", "56785678", "-n", PIN]].concat());
        self.module = "/usr/lib/x86_64-linux-gnu/opencryptoki/libopencryptoki.so.0".into();
        let paths = "/var/lib/opencryptoki,/run,/var/run,/dev/shm,/etc/group,/etc/passwd,/etc/opencryptoki";
        // The rules of the fault-injecting module are in this row's directory.
        self.set("AVS_KMS__SANDBOX__EXTRA_PATHS", format!("{paths},{}", place.display()));
    }

    fn kryoptic(&mut self, place: &Path) {
        let conf = place.join("kryoptic.conf");
        let database = place.join("token.sql");
        let lines =
            format!("[[slots]]\nslot = 0\ndbtype = \"sqlite\"\ndbargs = \"{}\"\n", database.display());
        fs::write(&conf, lines).unwrap();
        self.variable("KRYOPTIC_CONF", conf.display());
        self.module = built("libkryoptic_pkcs11.so");
        self.initialise_by_pkcs11_tool(place);
    }

    fn craton(&mut self, place: &Path) {
        let conf = place.join("craton_hsm.toml");
        let lines = "[token]\nstorage_path = \"craton\"\npersist_objects = true\nmax_rw_sessions = 64\n\n[security]\n\
                     pbkdf2_iterations = 100000\n\n[audit]\nenabled = false\n";
        fs::write(&conf, lines).unwrap();
        self.variable("CRATON_HSM_CONFIG", conf.display());
        self.variable("CRATON_HSM_INTEGRITY_BYPASS", "unsafe-dev-only");
        self.module = built("libcraton_hsm.so");
        self.initialise_by_pkcs11_tool(place);
    }

    fn initialise_by_pkcs11_tool(&mut self, place: &Path) {
        self.set("AVS_KMS__SANDBOX__EXTRA_PATHS", place);
        let module = self.module.to_str().unwrap().to_owned();
        let module = ["--module", &module, "--slot", "0"];
        let so_pin = ["--so-pin", SO_PIN];
        self.must("pkcs11-tool", &[&module[..], &["--init-token", "--label", LABEL], &so_pin].concat());
        let login = ["--login", "--login-type", "so"];
        let pin = ["--init-pin", "--new-pin", PIN];
        self.must("pkcs11-tool", &[&module[..], &login, &so_pin, &pin].concat());
    }

    /// Another PIN, by the tool of an administrator.
    pub(crate) fn change_pin(&self, row: &Row, place: &Path, new: &str) {
        let old = fs::read_to_string(&self.pin_file).unwrap().trim().to_owned();
        let file = place.join("new-pin");
        write_secret(&file, new);
        if row.recipe == Recipe::Nss {
            let database = format!("sql:{}", place.join("nss").display());
            let (old, new) = (self.pin_file.to_str().unwrap(), file.to_str().unwrap());
            self.must("certutil", &["-W", "-d", &database, "-f", old, "-@", new]);
        } else {
            let module = self.module.to_str().unwrap();
            let label = if row.recipe == Recipe::Softhsm { "avs-kms" } else { LABEL };
            let login = ["--module", module, "--token-label", label, "--login", "--pin", &old];
            let mut tool =
                self.command("pkcs11-tool", &[&login[..], &["--change-pin", "--new-pin", new]].concat());
            if row.recipe == Recipe::Softhsm {
                tool.env("SOFTHSM2_CONF", place.join("var/token/softhsm2.conf"));
            }
            let output = process::output(&mut tool);
            assert!(output.status.success(), "the PIN was not changed: {}", text(&output.stderr));
        }
        fs::rename(file, &self.pin_file).unwrap();
    }

    fn nss(&mut self, place: &Path) {
        let database = place.join("nss");
        fs::create_dir(&database).unwrap();
        write_secret(&self.pin_file, PIN);
        let (name, pin) = (format!("sql:{}", database.display()), self.pin_file.to_str().unwrap().to_owned());
        self.must("certutil", &["-N", "-d", &name, "-f", &pin]);
        self.module = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so".into();
        self.set("AVS_KMS__PKCS11__LABEL", "NSS Certificate DB");
        let text = format!("configdir='{name}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=");
        self.set("AVS_KMS__PKCS11__INITIALIZE_STRING", text);
        self.set("AVS_KMS__SANDBOX__EXTRA_PATHS", place);
    }
}

/// The command that runs this program in directories, processes and shared memory of its own, where the module knows
/// no others; `None` for modules that can be pointed at a directory.
pub(crate) fn in_its_own_world(row: &Row, program: &Path, arguments: &[&str]) -> Option<Command> {
    if row.recipe != Recipe::Opencryptoki {
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-euc",
            OPENCRYPTOKI,
        ])
        .arg("sh")
        .arg(program)
        .args(arguments);
    Some(command)
}

/// Only this process and what it starts sees these directories. They are gone with it.
const OPENCRYPTOKI: &str = r#"
for directory in /run /var/lib/opencryptoki /etc/opencryptoki /dev/shm; do
    mount -t tmpfs -o mode=0755 tmpfs "$directory"
done
chmod 1777 /dev/shm
mkdir -p /run/lock/opencryptoki/swtok /var/lib/opencryptoki/swtok/TOK_OBJ
chown -R root:pkcs11 /run/lock/opencryptoki /var/lib/opencryptoki
chmod -R 0770 /run/lock/opencryptoki /var/lib/opencryptoki
printf 'version opencryptoki-3.1\n\nslot 3\n{\nstdll = libpkcs11_sw.so\n}\n' >/etc/opencryptoki/opencryptoki.conf
exec setpriv --groups "0,$(getent group pkcs11 | cut -d: -f3)" "$@"
"#;

/// What this machine lacks for the row, if it lacks something that no package brings.
pub(crate) fn lacks(row: &Row) -> Option<&'static str> {
    let is_root = rustix::process::geteuid().is_root();
    (row.recipe == Recipe::Opencryptoki && !is_root).then_some("opencryptoki's directories need root")
}

/// A module that `make modules-long` has built beside this program.
fn built(name: &str) -> PathBuf {
    let target = std::env::current_exe().unwrap();
    let target = target.ancestors().nth(3).unwrap();
    let path = target.join("modules/release").join(name);
    assert!(path.exists(), "{} is not there: make test-modules LONG=1 builds it", path.display());
    path
}

pub(crate) fn write_secret(path: &Path, secret: &str) {
    use std::io::Write;
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(secret.as_bytes()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn appears(path: &Path) {
    let end = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < end, "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}
