//! A token of each kind, in a directory of its own: tools of the vendors make it, daemons end with it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::row::{Recipe, Row};
use crate::support::{MODULE, process, text};
use crate::world::{self, built};

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
    place: PathBuf,
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
            place: place.to_owned(),
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
            Recipe::Tpm2 => made.tpm2(place),
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
        // craton-hsm has its token below the working directory, which is this one for the service too.
        command.args(arguments).current_dir(&self.place).stdin(Stdio::null());
        command.envs(self.variables.iter().cloned());
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
        self.daemon("p11-kit", &arguments, &socket);
        self.variables.clear();
        self.variable("P11_KIT_SERVER_ADDRESS", format!("unix:path={}", socket.display()));
        self.module = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so".into();
    }

    /// In the directories that the library knows; [`crate::world`] has made them this row's own.
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
        self.copy_module("libkryoptic_pkcs11.so");
        self.initialise_by_pkcs11_tool(place);
    }

    fn craton(&mut self, place: &Path) {
        let conf = place.join("craton_hsm.toml");
        let lines = "[token]\nstorage_path = \"craton\"\npersist_objects = true\nmax_rw_sessions = 64\n\n[security]\n\
                     pbkdf2_iterations = 100000\n\n[audit]\nenabled = false\n";
        fs::write(&conf, lines).unwrap();
        self.variable("CRATON_HSM_CONFIG", conf.display());
        self.variable("CRATON_HSM_INTEGRITY_BYPASS", "unsafe-dev-only");
        self.copy_module("libcraton_hsm.so");
        self.initialise_by_pkcs11_tool(place);
    }

    /// A TPM in software behind a resource manager, on a bus of their own. An administrator makes the two keys.
    fn tpm2(&mut self, place: &Path) {
        let at = |name: &str| place.join(name).display().to_string();
        fs::create_dir(place.join("tpm")).unwrap();
        fs::create_dir(place.join("store")).unwrap();
        let (state, server) = (format!("dir={}", at("tpm")), format!("type=unixio,path={}", at("swtpm")));
        let (control, flags) = (format!("{server}.ctrl"), "not-need-init,startup-clear");
        let swtpm = ["socket", "--tpm2", "--tpmstate", &state, "--server", &server, "--ctrl", &control];
        self.daemon("swtpm", &[&swtpm[..], &["--flags", flags]].concat(), &place.join("swtpm"));
        let bus = format!("unix:path={}", at("bus"));
        self.daemon("dbus-daemon", &["--session", "--nofork", "--address", &bus], &place.join("bus"));
        self.variable("DBUS_SESSION_BUS_ADDRESS", &bus);
        let device = format!("swtpm:path={}", at("swtpm"));
        self.daemon("tpm2-abrmd", &["--session", "--allow-root", "--tcti", &device], place);
        self.variable("TPM2TOOLS_TCTI", "tabrmd:bus_type=session");
        self.variable("TPM2_PKCS11_TCTI", "tabrmd:bus_type=session");
        self.variable("TPM2_PKCS11_STORE", at("store"));
        let end = Instant::now() + Duration::from_secs(20);
        while !process::output(&mut self.command("tpm2_getrandom", &["8"])).status.success() {
            assert!(Instant::now() < end, "tpm2-abrmd does not answer");
        }
        let store = at("store");
        let tool = |arguments: &[&str]| self.must("tpm2_ptool", &[arguments, &["--path", &store]].concat());
        tool(&["init"]);
        let label = ["--label", LABEL, "--userpin", PIN];
        tool(&[&["addtoken", "--pid", "1", "--sopin", SO_PIN], &label[..]].concat());
        for (algorithm, name) in [("hmac:sha256", "kek"), ("ecc256", "checkpoint")] {
            tool(&[&["addkey", "--algorithm", algorithm, "--key-label", name], &label[..]].concat());
        }
        self.module = "/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1".into();
        self.set("AVS_KMS__PKCS11__KEK_LABEL", "kek");
        self.set("AVS_KMS__PKCS11__CHECKPOINT_KEY_LABEL", "checkpoint");
        self.set("AVS_KMS__SANDBOX__EXTRA_PATHS", place);
    }

    /// Runs until this token is dropped, and makes this file.
    fn daemon(&mut self, program: &str, arguments: &[&str], file: &Path) {
        let started = self.command(program, arguments).stdout(Stdio::null()).spawn();
        self.daemons.push(started.unwrap_or_else(|error| panic!("{program}: {error}")));
        appears(file);
    }

    /// Where the sandbox lets the fault-injecting module load it.
    fn copy_module(&mut self, name: &str) {
        self.module = self.place.join(name);
        fs::copy(built("release").join(name), &self.module).unwrap();
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

    /// What the token holds, as an administrator's tool lists it.
    pub(crate) fn objects(&self, row: &Row, place: &Path) -> String {
        let mut tool = if row.recipe == Recipe::Nss {
            let database = format!("sql:{}", place.join("nss").display());
            // It has no data objects; without a key the tool fails with a sentence.
            self.command("certutil", &["-K", "-d", &database, "-f", self.pin_file.to_str().unwrap()])
        } else {
            let login = ["--module", self.module.to_str().unwrap(), "--token-label", LABEL, "--login"];
            self.command("pkcs11-tool", &[&login[..], &["--pin", PIN, "--list-objects"]].concat())
        };
        let output = process::output(&mut tool);
        assert!(row.recipe == Recipe::Nss || output.status.success(), "{}", text(&output.stderr));
        format!("{}{}", text(&output.stdout), text(&output.stderr))
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

/// What this machine lacks for the row, if it lacks something that no package brings.
pub(crate) fn lacks(row: &Row) -> Option<&'static str> {
    let is_root = rustix::process::geteuid().is_root();
    (world::is_needed(row) && !is_root).then_some("its directories need root")
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
