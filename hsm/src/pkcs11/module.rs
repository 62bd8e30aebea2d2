//! The module behind its lifecycle: no call reaches it outside C_Initialize…C_Finalize, and no handle of an earlier
//! initialisation is used in a later one. Not for secrets: only shapes and lengths pass here.

use std::ffi::CString;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

use cryptoki::error::RvError;
use cryptoki::mechanism::{MechanismInfo, MechanismType};
use cryptoki::slot::Slot;

use super::error::{Cause, Function, TokenError};
use super::library::Library;
use super::timing::{self, Noted};

/// Number of a C_Initialize; sessions remember theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// Which initialisation is current.
struct Lifecycle {
    generation: Generation,
    initialised: bool,
    /// C_Finalize was refused: the module may still be initialised, by this process.
    leftover: bool,
}

/// A loaded module.
pub(crate) struct Module {
    library: Library,
    /// What C_Initialize gives the module in `pReserved`.
    initialize_string: Option<CString>,
    lifecycle: RwLock<Lifecycle>,
}

/// What a slot says of its token.
#[derive(Clone, Debug)]
pub(crate) struct TokenInfo {
    pub(crate) slot: Slot,
    pub(crate) label: String,
    pub(crate) serial: String,
    pub(crate) manufacturer: String,
    pub(crate) model: String,
    pub(crate) info: cryptoki::slot::TokenInfo,
}

impl Module {
    /// Loads the module and takes its function list; initialises nothing. Its code runs in this process,
    /// so no other user may be able to change it; a bare name is a file here, not one that the loader finds.
    pub(crate) fn load(
        path: &Path,
        initialize_string: Option<&str>,
    ) -> Result<Arc<Self>, Box<dyn std::error::Error + Send + Sync>> {
        let initialize_string = initialize_string.map(CString::new).transpose()?;
        let path = &std::path::absolute(path)?;
        trusted_files::open(path, trusted_files::Readers::Everyone)?;
        // A constructor of the library runs in it, too.
        let _noted = Noted::begin(Function::GetFunctionList);
        let library = Library::load(path)?;
        let lifecycle =
            RwLock::new(Lifecycle { generation: Generation(0), initialised: false, leftover: false });
        Ok(Arc::new(Self { library, initialize_string, lifecycle }))
    }

    /// Runs `body` if `generation` is the current one, and keeps C_Finalize out meanwhile.
    pub(super) fn call<R>(
        &self,
        generation: Generation,
        function: Function,
        body: impl FnOnce(&Library) -> Result<R, TokenError>,
    ) -> Result<R, TokenError> {
        let lifecycle = self.lifecycle.read().unwrap_or_else(PoisonError::into_inner);
        if !lifecycle.initialised || lifecycle.generation != generation {
            return Err(TokenError { function, cause: Cause::Stale });
        }
        let begun = Instant::now();
        let noted = Noted::begin(function);
        let result = body(&self.library);
        drop(noted);
        timing::ended(function, &result, begun);
        result
    }

    /// C_Initialize.
    pub(crate) fn initialise(&self) -> Result<Generation, TokenError> {
        let mut lifecycle = self.exclusive(Function::Initialize, Duration::ZERO)?;
        let initialise = || {
            let _noted = Noted::begin(Function::Initialize);
            self.library.initialize(self.initialize_string.as_deref())
        };
        let already = |error: &TokenError| error.code() == Some(RvError::CryptokiAlreadyInitialized);
        match initialise() {
            Err(error) if lifecycle.leftover && already(&error) => {
                self.finalise_exclusive()?;
                initialise()?;
            }
            answer => answer?,
        }
        lifecycle.leftover = false;
        lifecycle.generation = Generation(lifecycle.generation.0 + 1);
        lifecycle.initialised = true;
        Ok(lifecycle.generation)
    }

    /// C_Finalize, once no thread is inside the module; gives up after `patience`.
    pub(crate) fn finalise(&self, patience: Duration) -> Result<(), TokenError> {
        let mut lifecycle = self.exclusive(Function::Finalize, patience)?;
        if !lifecycle.initialised {
            return Ok(());
        }
        lifecycle.initialised = false;
        self.finalise_exclusive().inspect_err(|_| lifecycle.leftover = true)
    }

    /// Both callers hold the write half of the lifecycle: no other thread is in the module.
    fn finalise_exclusive(&self) -> Result<(), TokenError> {
        let _noted = Noted::begin(Function::Finalize);
        self.library.finalize()
    }

    /// The lifecycle with no thread inside the module. A call that hangs holds it, so waiting has an end.
    fn exclusive(
        &self,
        function: Function,
        patience: Duration,
    ) -> Result<RwLockWriteGuard<'_, Lifecycle>, TokenError> {
        let give_up = Instant::now() + patience;
        loop {
            match self.lifecycle.try_write() {
                Ok(lifecycle) => return Ok(lifecycle),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => return Err(TokenError { function, cause: Cause::Busy }),
            }
        }
    }

    /// Every slot that holds a token, with what it says of it.
    pub(crate) fn tokens(&self, generation: Generation) -> Result<Vec<TokenInfo>, TokenError> {
        let slots = self.call(generation, Function::GetSlotList, Library::slots)?;
        // A slot whose token cannot be read is skipped: another token's trouble must not hide this one.
        Ok(slots.into_iter().filter_map(|slot| self.token_info(generation, slot).ok()).collect())
    }

    /// What the slot says of its token now.
    pub(crate) fn token_info(&self, generation: Generation, slot: Slot) -> Result<TokenInfo, TokenError> {
        let info = self.call(generation, Function::GetTokenInfo, |library| library.token_info(slot))?;
        let (label, serial) = (padded(info.label()), padded(info.serial_number()));
        let (manufacturer, model) = (padded(info.manufacturer_id()), padded(info.model()));
        Ok(TokenInfo { slot, label, serial, manufacturer, model, info })
    }

    /// Name and version of the module, and the version of the standard that it claims.
    pub(crate) fn description(&self, generation: Generation) -> Result<String, TokenError> {
        let info = self.call(generation, Function::GetInfo, Library::info)?;
        let (name, own) = (padded(info.library_description()), info.library_version());
        Ok(format!("{name} {own}, PKCS#11 {}", info.cryptoki_version()))
    }

    /// C_InitToken: destroys everything in the slot's token and names it.
    pub(crate) fn init_token(
        &self,
        generation: Generation,
        slot: Slot,
        so_pin: &[u8],
        label: &[u8; 32],
    ) -> Result<(), TokenError> {
        self.call(generation, Function::InitToken, |library| library.init_token(slot, so_pin, label))
    }

    /// What the module claims of a mechanism.
    pub(crate) fn mechanism(
        &self,
        generation: Generation,
        slot: Slot,
        mechanism: MechanismType,
    ) -> Result<MechanismInfo, TokenError> {
        self.call(generation, Function::GetMechanismInfo, |library| library.mechanism_info(slot, mechanism))
    }
}

/// A text of fixed length. The standard fills it up with spaces; some modules end it with a NUL and leave what was
/// behind. What no reader sees becomes a sign that one does.
fn padded(text: &str) -> String {
    let text = text.split('\0').next().unwrap_or_default().trim_end();
    text.chars()
        .map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn a_text_ends_at_its_padding_whatever_a_module_pads_with() {
        for (given, text) in [
            ("lab                             ", "lab"),
            ("lab\0\0\0", "lab"),
            ("lab\0rubbish of an earlier call   ", "lab"),
            ("\0\0\0\0", ""),
            ("                ", ""),
            (" two words ", " two words"),
            ("a label of thirty-two characters", "a label of thirty-two characters"),
            ("\u{1b}[31mred", "\u{fffd}[31mred"),
        ] {
            assert_eq!(padded(given), text);
        }
    }
}
