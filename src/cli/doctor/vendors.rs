//! Files of PKCS#11 modules that the sandbox hides, by module. From the vendors' manuals and packages.

use std::path::{Path, PathBuf};

/// A part of the module's file name, and what the module opens beside itself. Not all of it on each host.
const FILES: [(&str, &[&str]); 9] = [
    (
        "opencryptoki",
        &[
            "/etc/opencryptoki",
            "/var/lib/opencryptoki",
            "/var/lock/opencryptoki",
            "/run/opencryptoki",
            "/var/log/opencryptoki",
            "/dev/shm",
        ],
    ),
    ("p11-kit", &["/etc/pkcs11", "/run/p11-kit"]),
    ("softokn", &["/etc/pki/nssdb"]),
    ("tpm2_pkcs11", &["/etc/tpm2_pkcs11", "/dev/tpmrm0"]),
    // Luna.
    ("cryptoki2", &["/etc/Chrystoki.conf", "/usr/safenet/lunaclient", "/tmp"]),
    // nShield.
    ("cknfast", &["/opt/nfast", "/dev/nfast"]),
    ("cloudhsm", &["/opt/cloudhsm"]),
    ("yubihsm", &["/etc/yubihsm_pkcs11.conf", "/dev/bus/usb"]),
    // Utimaco.
    ("cs_pkcs11", &["/etc/utimaco", "/dev/cs2"]),
];

/// What a module of this name opens, as far as it is here.
pub(super) fn files(module: &Path) -> Vec<PathBuf> {
    let name = module.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let row = FILES.iter().find(|(part, _)| name.contains(part));
    let all = row.map_or(&[][..], |(_, files)| files).iter().map(PathBuf::from);
    all.filter(|path| path.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_known_by_its_file_name() {
        assert!(files(Path::new("/usr/lib/opencryptoki/libopencryptoki.so")).contains(&"/dev/shm".into()));
        assert!(files(Path::new("/usr/lib/softhsm/libsofthsm2.so")).is_empty());
        assert!(files(Path::new("")).is_empty());
    }
}
