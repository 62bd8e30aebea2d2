//! Making a SoftHSM token by label: idempotent, and it refuses an incomplete token.

use secrecy::ExposeSecret;

use super::files::{self, TokenObject};
use super::plan::{MakeTokenError, SofthsmToken};
use crate::arena::{Pin, SecretMemoryPolicy};
use crate::error::OpenError;
use crate::keys::lock::TokenLock;
use crate::pkcs11::{Generation, Module, Role, Session, TokenInfo};
use crate::settings::TokenSelector;
use crate::softhsm_layout::SofthsmLayout;
use crate::token::connection::{LoggedInToken, finalise};
use crate::token::login::Credential;
use crate::token::pin;

/// What there is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenMade {
    /// Serial number of the token.
    pub serial: String,
    /// False where it was there already and its PIN worked.
    pub created: bool,
}

/// Makes the token, its configuration and its PIN file where they are missing; finds that they work where they are
/// there. PINs go to the module in memory, never through a command line.
///
/// # Errors
/// [`MakeTokenError`]; nothing that was there before is changed.
pub fn make_softhsm_token(plan: &SofthsmToken) -> Result<TokenMade, MakeTokenError> {
    if !plan.module.exists() {
        return Err(MakeTokenError::NoSofthsm { module: plan.module.clone() });
    }
    if plan.label.is_empty() || plan.label.len() > 32 {
        return Err(MakeTokenError::Label);
    }
    let wanted = &plan.layout.configuration;
    if std::env::var_os("SOFTHSM2_CONF").is_none_or(|set| set != *wanted) {
        return Err(MakeTokenError::Environment { wanted: wanted.clone() });
    }
    files::prepare(&plan.layout)?;
    let _lock = TokenLock::take(&plan.lock_file)?;
    let module = Module::load(&plan.module, None)
        .map_err(|source| OpenError::ModuleMissing { path: plan.module.clone(), source })?;
    let generation = module.initialise()?;
    let found = look(&module, generation, plan);
    let made = found.and_then(|found| match found {
        Some(_) => Ok(false),
        None => create(&module, generation, plan).map(|()| true),
    });
    finalise(&module);
    let created = made?;
    // As the service will do it: from a fresh initialisation, by label, with the PIN of the file.
    let pin = pin::read(&plan.pin_file, SecretMemoryPolicy::PreferSecret)?;
    let credential = Credential::of_new_token(pin);
    let login = LoggedInToken::new(&module, &TokenSelector::label(&plan.label), None, &credential)?;
    let serial = login.info.serial.clone();
    drop(login);
    finalise(&module);
    files::protect(&plan.layout, &serial)?;
    Ok(TokenMade { serial, created })
}

/// Writes SoftHSM's configuration where there is none, or where it was moved with its tokens. Idempotent.
///
/// # Errors
/// When a directory or file cannot be made, or the file cannot name the directory.
pub fn configure_softhsm(layout: &SofthsmLayout) -> Result<(), MakeTokenError> {
    files::prepare(layout)
}

/// The token of the label, if it is there and whole.
fn look(
    module: &Module,
    generation: Generation,
    plan: &SofthsmToken,
) -> Result<Option<TokenInfo>, MakeTokenError> {
    let incomplete = |what: String| Err(MakeTokenError::Incomplete { what });
    let tokens = module.tokens(generation)?;
    let mut ready: Vec<_> = tokens.into_iter().filter(|seen| seen.info.token_initialized()).collect();
    for TokenObject { path, serial, copy, .. } in files::objects(&plan.layout)? {
        let is_ours = !plan.layout.shared || copy.is_some();
        if is_ours && !ready.iter().any(|seen| seen.serial == serial) {
            return incomplete(format!("{} holds no readable token", path.display()));
        }
    }
    ready.retain(|seen| seen.label == plan.label);
    match ready.pop() {
        None => Ok(None),
        Some(_) if !ready.is_empty() => incomplete(format!("several tokens are called {:?}", plan.label)),
        Some(seen) if !seen.info.user_pin_initialized() => {
            incomplete(format!("token {:?} has no user PIN", plan.label))
        }
        Some(_) if !plan.pin_file.exists() => {
            incomplete(format!("token {:?} exists, but not {}", plan.label, plan.pin_file.display()))
        }
        Some(seen) => Ok(Some(seen)),
    }
}

fn create(
    module: &std::sync::Arc<Module>,
    generation: Generation,
    plan: &SofthsmToken,
) -> Result<(), MakeTokenError> {
    files::make_pin(&plan.pin_file)?;
    let user = pin::read(&plan.pin_file, SecretMemoryPolicy::PreferSecret)?;
    let officer = files::random_pin(&plan.pin_file)?;
    let officer = Pin::read(&mut officer.as_slice(), SecretMemoryPolicy::PreferSecret)
        .map_err(|_| MakeTokenError::Incomplete { what: "no officer's PIN could be made".into() })?;
    let free = module.tokens(generation)?.into_iter().find(|seen| !seen.info.token_initialized());
    let Some(free) = free else {
        return Err(MakeTokenError::Incomplete { what: "SoftHSM offers no free slot".into() });
    };
    let mut label = [b' '; 32];
    label.iter_mut().zip(plan.label.bytes()).for_each(|(place, byte)| *place = byte);
    module.init_token(generation, free.slot, officer.expose_secret(), &label)?;
    let session = Session::open(module, generation, free.slot)?;
    session.log_in(Role::SecurityOfficer, officer.expose_secret())?;
    session.init_pin(user.expose_secret())?;
    session.log_out()?;
    Ok(())
}

/// Every token of a SoftHSM directory and how its `token.object` compares to the copy that was taken of it.
///
/// # Errors
/// Where the directory cannot be read.
pub fn softhsm_token_objects(layout: &SofthsmLayout) -> Result<Vec<TokenObject>, MakeTokenError> {
    files::objects(layout)
}

/// Puts the copy of `token.object` back where the file is gone or cut short; gives the serials of what was restored. The
/// service must not run: take its lock.
///
/// # Errors
/// [`MakeTokenError::Token`] with [`OpenError::AlreadyRunning`] while the token is in use, and what the disk says.
pub fn restore_softhsm_token(plan: &SofthsmToken) -> Result<Vec<String>, MakeTokenError> {
    let _lock = TokenLock::take(&plan.lock_file)?;
    files::restore(&plan.layout)
}
