//! Moving all keys to another key-encryption key: in another token, of another scheme, or a second one in the same token.
//!
//! The new side is made first and every record on it is proven ([`Rewrap::copy`]); the old side is destroyed by a call of
//! its own ([`Rewrap::destroy_old`]), once the caller has made the move final. Both may be repeated after a kill at any
//! point: what is there and sound is kept. Not for: when a move is final (the audit log, `avs-kms rewrap`).

mod carry;
mod copied;
mod error;
mod new_side;
mod old_side;
mod side;

use std::fmt;
use std::sync::Arc;

use crate::arena::Arena;
use crate::error::OpenError;
use crate::pkcs11::{Generation, Module};
use crate::runtime::start::{Prepared, prepare};
use crate::settings::Settings;
use crate::token::checkpoint_key::CheckpointKey;
use crate::token::connection::{LoggedInToken, finalise};
use crate::token::login::Credential;
use crate::token::selection::select;

pub use copied::{Copied, RewrapReport, RewrapSide};
pub use error::RewrapError;
pub use new_side::RewrapCaller;
use side::{Side, Sides};

/// What to do where one process cannot have both sides.
const ONE_MODULE: &str = "both configurations name one PKCS#11 module with two texts in pkcs11.initialize_string, and a \
                          process initialises a module once: move by way of a token of another module";

/// Both sides of a move, logged in; no other process uses them meanwhile.
pub struct Rewrap(Sides);

impl Rewrap {
    /// Takes the lock and logs in to both tokens. Changes nothing in them.
    ///
    /// # Errors
    /// What keeps a token from being opened; [`RewrapError::Refused`] where one process cannot have both.
    pub fn open(old: &Settings, new: &Settings) -> Result<Self, RewrapError> {
        bn254_ct::initialise();
        let Prepared { lock, memory, credential, module, .. } = prepare(old)?;
        let same_module = is_one_file(old, new);
        if same_module && old.initialize_string != new.initialize_string {
            return Err(RewrapError::Refused(ONE_MODULE.to_owned()));
        }
        let generation = module.initialise()?;
        let other = second_module(new, same_module.then_some((&module, generation)));
        let (other, other_generation) = other.inspect_err(|_| finalise(&module))?;
        let log_in = || {
            let second = Credential::read(new, memory)?;
            // Before any login: SoftHSM shows nothing of a token afterwards whose file the login could not rewrite.
            let found = select(module.tokens(generation)?, &old.token, None)?;
            let other_found = select(other.tokens(other_generation)?, &new.token, None)?;
            let login = LoggedInToken::of((&module, generation), found, &credential)?;
            let second = LoggedInToken::of((&other, other_generation), other_found, &second)?;
            Ok::<_, OpenError>((Side::new(old, login), Side::new(new, second)))
        };
        let (old, new) = log_in().inspect_err(|_| {
            finalise(&other);
            finalise(&module);
        })?;
        Ok(Self(Sides { old, new, memory, _lock: lock }))
    }

    /// The checkpoint key of a new side that an earlier attempt has completed: the audit log tells by it how far that
    /// attempt came.
    ///
    /// # Errors
    /// When the token refuses a call, or what it holds is unfit.
    pub fn new_key(&self) -> Result<Option<CheckpointKey>, RewrapError> {
        let mut arena = Arena::new(self.0.memory)?;
        match self.0.new.connect(&mut arena) {
            Ok(connection) => Ok(Some(connection.checkpoint_signer.public())),
            Err(OpenError::KekMissing { .. } | OpenError::CanaryMissing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the new side and seals every key for it: key-encryption key, checkpoint key, store key, the keys one after
    /// the other, the canary record last. Each is found again, opened and compared with its public key; so is what an
    /// earlier attempt left. What the old side no longer has is removed. Nothing on the old side changes.
    ///
    /// # Errors
    /// When a key cannot be moved, and what opening can meet. Nothing is final: repeat it.
    pub fn copy(self, caller: &dyn RewrapCaller) -> Result<Copied, RewrapError> {
        let Self(sides) = self;
        let (mut first, mut second) = (Arena::new(sides.memory)?, Arena::new(sides.memory)?);
        let old = sides.old.connect(&mut first)?;
        let moved = carry::copy(&sides, &old, caller, (&mut first, &mut second))?;
        let new = sides.new.connect(&mut first)?;
        Copied::compared(sides, (old, new), moved, first)
    }

    /// Destroys what the old side has: the keys' records, store key, anchor, canary record, and the keys that this program
    /// made. Those that the HSM's administrator made stay. Gives how many keys' records it destroyed.
    ///
    /// # Errors
    /// When the token refuses a call. Some may be destroyed then: repeat it.
    pub fn destroy_old(&self, progress: &dyn Fn(usize, usize)) -> Result<usize, RewrapError> {
        old_side::destroy(&self.0, progress)
    }
}

impl fmt::Debug for Rewrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewrap").finish_non_exhaustive()
    }
}

fn is_one_file(old: &Settings, new: &Settings) -> bool {
    let real = |settings: &Settings| std::fs::canonicalize(&settings.module).ok();
    old.module == new.module || real(old).is_some_and(|old| real(new) == Some(old))
}

/// The module of the new side, initialised: that of the old side where it is the same.
fn second_module(
    new: &Settings,
    same: Option<(&Arc<Module>, Generation)>,
) -> Result<(Arc<Module>, Generation), OpenError> {
    if let Some((module, generation)) = same {
        return Ok((Arc::clone(module), generation));
    }
    let module = Module::load(&new.module, new.initialize_string.as_deref())
        .map_err(|source| OpenError::ModuleMissing { path: new.module.clone(), source })?;
    let generation = module.initialise()?;
    Ok((module, generation))
}
