//! The rows of the matrix, each module or emulated device. Not for what a row is (`row`), how a token is made (`token`)
//! and what is done with it (`walk`).

use crate::row::{Recipe, Row, Slow, TESTED, emulated};

const AWS: &str = "https://docs.aws.amazon.com/cloudhsm/latest/userguide/pkcs11-mechanisms.html";
const KMSP11: &str = "https://github.com/GoogleCloudPlatform/kms-integrations/blob/master/kmsp11/kmsp11.h";
const LUNA: &str = "https://thalesdocs.com/gphsm/luna/7/docs/network/Content/sdk/mechanisms/CKM_AES_GCM.htm";
const NSHIELD: &str =
    "https://nshielddocs.entrust.com/security-world-docs/v13.6.3/api-pkcs11/env-variables.html";
const YUBIHSM: &str = "https://github.com/Yubico/yubihsm-shell/tree/master/pkcs11";
const NETHSM: &str = "https://github.com/Nitrokey/nethsm-pkcs11/blob/main/features.md";
const WOLF: &str = "https://github.com/wolfSSL/wolfPKCS11";
const STANDARD: &str = "https://docs.oasis-open.org/pkcs11/pkcs11-base/v2.40/os/pkcs11-base-v2.40-os.html";

/// All of them; the first is what the others are compared with.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "softhsm",
        device: "SoftHSM 2.6.1",
        scheme: "S1/caller",
        settings: "none",
        limits: "a key in files",
        ..TESTED
    },
    Row {
        name: "p11_kit",
        device: "p11-kit 0.24.1 remote, over SoftHSM",
        recipe: Recipe::P11Kit,
        scheme: "S6/hmac-sha256",
        settings: "`pkcs11.environment`",
        limits: "no AES-GCM and no Ed25519 over its wire",
        ..TESTED
    },
    Row {
        name: "opencryptoki",
        device: "opencryptoki 3.8.1, soft token",
        recipe: Recipe::Opencryptoki,
        scheme: "S6/hmac-sha256",
        settings: "`sandbox.extra_paths`, the group `pkcs11`",
        limits: "no AES-GCM, no EC keys: checkpoints by RSA-PSS",
        ..TESTED
    },
    Row {
        name: "nss",
        device: "NSS 3.87",
        recipe: Recipe::Nss,
        scheme: "S1/caller",
        settings: "`pkcs11.initialize_string`, `sandbox.extra_paths`",
        limits: "no data objects: the records are in the store",
        records_in_store: true,
        ..TESTED
    },
    Row {
        name: "kryoptic",
        device: "kryoptic 1.5.4",
        recipe: Recipe::Kryoptic,
        scheme: "S1/caller",
        settings: "`pkcs11.environment`, `sandbox.extra_paths`",
        limits: "a key in files",
        long: true,
        ..TESTED
    },
    Row {
        name: "craton",
        device: "craton-hsm 0.10.6",
        recipe: Recipe::Craton,
        scheme: "S1/caller",
        settings: "`pkcs11.environment`, `sandbox.extra_paths`",
        limits: "for tests alone",
        long: true,
        ..TESTED
    },
    Row {
        name: "tpm2",
        device: "tpm2-pkcs11 1.9 on swtpm 0.7.1",
        recipe: Recipe::Tpm2,
        scheme: "S6/hmac-sha256",
        settings: "`pkcs11.environment`, `sandbox.extra_paths`, `pkcs11.kek_label`, `pkcs11.checkpoint_key_label`",
        limits: "no AES-GCM; an administrator makes the keys",
        long: true,
        ..TESTED
    },
    Row {
        name: "opencryptoki_sid",
        device: "opencryptoki 3.27, soft token (Debian sid)",
        recipe: Recipe::Opencryptoki,
        scheme: "S1/caller",
        settings: "`sandbox.extra_paths`, the group `pkcs11`",
        limits: "none",
        long: true,
        newer_debian: true,
        ..TESTED
    },
    Row {
        name: "p11_kit_sid",
        device: "p11-kit 0.26 remote, over SoftHSM (Debian sid)",
        recipe: Recipe::P11Kit,
        scheme: "S1/caller",
        settings: "`pkcs11.environment`",
        limits: "no Ed25519 over its wire",
        long: true,
        newer_debian: true,
        ..TESTED
    },
    Row {
        settings: "`pkcs11.softhsm_conf = \"\"`",
        limits: "the token chooses the IV; no data objects: the records are in the store",
        records_in_store: true,
        ..emulated(
            "aws_cloudhsm",
            "AWS CloudHSM",
            "S1/token",
            "device:aws_cloudhsm slow\ndata_objects_refused slow",
            AWS,
        )
    },
    Row {
        settings: "`pkcs11.softhsm_conf = \"\"`",
        limits: "the token chooses the IV; no data objects: the records are in the store",
        records_in_store: true,
        ..emulated(
            "aws_cloudhsm_vendor",
            "AWS CloudHSM, its own mechanism alone",
            "S1/cloudhsm",
            "device:aws_cloudhsm_vendor slow\ndata_objects_refused slow",
            AWS,
        )
    },
    Row {
        settings: "`pkcs11.environment`",
        limits: "the token chooses the IV; no data objects: the records are in the store",
        records_in_store: true,
        ..emulated(
            "kmsp11",
            "Google Cloud KMS (kmsp11)",
            "S1/cloudkms",
            "device:kmsp11 slow\ndata_objects_refused rv=0x54",
            KMSP11,
        )
    },
    Row {
        settings: "`sandbox.extra_paths`",
        limits: "the token chooses the IV",
        ..emulated("luna_fips", "Thales Luna 7, FIPS mode", "S1/appended", "device:luna_fips slow", LUNA)
    },
    Row {
        settings: "`sandbox.extra_paths`",
        limits: "the token chooses the IV",
        ..emulated(
            "luna_fips_793",
            "Thales Luna 7, FIPS mode, firmware 7.9.3",
            "S1/appended-unasked",
            "device:luna_fips_793 slow",
            LUNA,
        )
    },
    Row {
        settings: "`sandbox.extra_paths`",
        limits: "keys are private and sensitive",
        ..emulated("luna_cloud", "Thales Luna Cloud HSM", "S1/appended", "device:luna_cloud slow", LUNA)
    },
    Row {
        settings: "`sandbox.extra_paths`",
        limits: "no key is extractable or comes from outside",
        ..emulated("nshield", "Entrust nShield, defaults", "S1/caller", "device:nshield slow", NSHIELD)
    },
    Row {
        settings: "`pkcs11.environment`",
        limits: "no AES-GCM, session keys, copies; data objects are public",
        ..emulated("yubihsm2", "YubiHSM 2", "S6/hmac-sha256", "device:yubihsm2 slow", YUBIHSM)
    },
    Row {
        settings: "none",
        limits: "RSA-OAEP alone; no data objects: the records are in the store; not emulated: its users make no keys",
        records_in_store: true,
        ..emulated(
            "nethsm",
            "Nitrokey NetHSM",
            "S5/oaep-sha1",
            "device:nethsm slow\ndata_objects_refused slow",
            NETHSM,
        )
    },
    Row {
        settings: "none",
        limits: "a session object is visible in its own session alone",
        ..emulated("wolfpkcs11", "wolfPKCS11", "S1/caller", "session_objects_private slow", WOLF)
    },
    Row {
        settings: "none",
        limits: "AES key wrap (RFC 3394) alone",
        ..emulated("key_wrap", "a token with key wrap alone", "S2/kw", "device:key_wrap slow", STANDARD)
    },
    Row {
        settings: "none",
        limits: "AES key wrap with padding (RFC 5649) alone",
        ..emulated(
            "key_wrap_padded",
            "a token with padded key wrap alone",
            "S2/kwp",
            "device:key_wrap_padded slow",
            STANDARD,
        )
    },
    Row {
        settings: "none",
        limits: "every fourth call on a session finds it closed",
        flaky: true,
        ..emulated(
            "ha_group",
            "a high-availability group with a sick member",
            "S1/caller",
            "C_DecryptInit rv=0xB3 every=4",
            STANDARD,
        )
    },
    Row {
        settings: "none",
        limits: "a session idle for 2 s is closed without notice: the next request waits for a new login",
        ..emulated(
            "idle_sessions",
            "a token that drops idle sessions",
            "S1/caller",
            "idle delay_ms=2000",
            STANDARD,
        )
    },
    Row {
        settings: "none",
        limits: "12 objects: 5 keys, then `hsm_full`",
        ..emulated(
            "twelve_objects",
            "a token with space for 12 objects",
            "S1/caller",
            "objects capacity=12",
            STANDARD,
        )
    },
    Row {
        settings: "`enclave.workers = 16`",
        limits: "30 ms a call, as many at once as there are sessions",
        slow: Some(Slow { call: 0.03, serial: false }),
        ..emulated(
            "slow_parallel",
            "a token behind 30 ms, in parallel",
            "S1/caller",
            "* slow delay_ms=30",
            STANDARD,
        )
    },
    Row {
        settings: "`enclave.workers = 16`",
        limits: "30 ms a call, one at a time",
        slow: Some(Slow { call: 0.03, serial: true }),
        ..emulated(
            "slow_serial",
            "a token of 30 ms a call, one at a time",
            "S1/caller",
            "serial delay_ms=30",
            STANDARD,
        )
    },
];
