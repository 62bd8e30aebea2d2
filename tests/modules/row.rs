//! What a row of the matrix is: a module or emulated device, what it takes and what must come out. Not for the rows
//! themselves: `rows`.

/// How a token comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// SoftHSM as `init` makes it.
    Softhsm,
    /// `p11-kit server` over SoftHSM.
    P11Kit,
    /// opencryptoki's token in software, with a daemon of its own.
    Opencryptoki,
    /// NSS's database of keys.
    Nss,
    /// Modules that `make modules-long` builds.
    Kryoptic,
    Craton,
    /// `tpm2-pkcs11` over a TPM in software, with keys that an administrator makes.
    Tpm2,
    /// The fault-injecting module over SoftHSM under these rules.
    Emulated {
        rules: &'static str,
        after: &'static str,
    },
}

/// One module or device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Of the test, and for `ROWS=`.
    pub(crate) name: &'static str,
    /// With its version, as the page names it.
    pub(crate) device: &'static str,
    pub(crate) recipe: Recipe,
    /// What `init` must choose.
    pub(crate) scheme: &'static str,
    /// What the configuration needs beside module, label and PIN.
    pub(crate) settings: &'static str,
    pub(crate) limits: &'static str,
    /// A part of what the suite says about a row that cannot pass yet. The row fails once it passes.
    pub(crate) known_failure: Option<&'static str>,
    /// Calls may fail now and then: a client repeats a refused request.
    pub(crate) flaky: bool,
    /// Seconds that one call takes at least, and whether the token takes one call at a time.
    pub(crate) slow: Option<Slow>,
    /// The token has no data objects, so `init` must choose the store.
    pub(crate) records_in_store: bool,
    /// Only with `LONG=1`.
    pub(crate) long: bool,
    /// Everything of this row runs in the newer Debian that `make modules-long` lays beside this program.
    pub(crate) newer_debian: bool,
}

/// The pace of a slow token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slow {
    pub(crate) call: f64,
    pub(crate) serial: bool,
}

pub(crate) const TESTED: Row = Row {
    name: "",
    device: "",
    recipe: Recipe::Softhsm,
    scheme: "",
    settings: "",
    limits: "",
    known_failure: None,
    flaky: false,
    slow: None,
    records_in_store: false,
    long: false,
    newer_debian: false,
};

/// `enclave.workers` of the rows with a pace.
pub(crate) const WORKERS: u64 = 16;

/// A device that is not at hand.
pub(crate) const fn emulated(
    name: &'static str,
    device: &'static str,
    scheme: &'static str,
    rules: &'static str,
    after: &'static str,
) -> Row {
    Row { name, device, scheme, recipe: Recipe::Emulated { rules, after }, ..TESTED }
}
