//! The login: presents the PIN once, and never one that the token refused before. Not for when a login is needed.

use cryptoki::error::RvError;
use secrecy::ExposeSecret;

use super::pin;
use super::refused_pin::RefusedPins;
use crate::arena::{Pin, SecretMemoryPolicy};
use crate::error::OpenError;
use crate::pkcs11::{Role, Session, TokenInfo};
use crate::settings::{PinUse, Settings};

/// The user PIN and what this installation knows of its refusals.
pub(crate) struct Credential {
    pin: Pin,
    refused: RefusedPins,
    pin_use: PinUse,
}

impl Credential {
    /// Reads the PIN file once.
    pub(crate) fn read(settings: &Settings, memory: SecretMemoryPolicy) -> Result<Self, OpenError> {
        let refused = RefusedPins::new(settings.refused_pins.clone());
        Ok(Self { pin: pin::read(&settings.pin_file, memory)?, refused, pin_use: settings.pin_use })
    }

    /// A PIN of a token that was just made.
    pub(crate) const fn of_new_token(pin: Pin) -> Self {
        Self { pin, refused: RefusedPins::new(None), pin_use: PinUse::Careful }
    }

    /// Presents the PIN once; not at all where the token refused it before, or one mistake more would lock it.
    pub(crate) fn log_in(&self, holder: &Session, seen: &TokenInfo) -> Result<(), OpenError> {
        if seen.info.user_pin_locked() {
            return Err(OpenError::PinLocked);
        }
        if self.pin_use == PinUse::Careful {
            if seen.info.user_pin_final_try() {
                return Err(OpenError::PinFinalTry);
            }
            self.refused.check(&seen.serial, &self.pin)?;
        }
        use RvError as R;
        let Err(error) = holder.log_in(Role::User, self.pin.expose_secret()) else {
            self.refused.forget(&seen.serial);
            return Ok(());
        };
        match error.code() {
            Some(R::UserAlreadyLoggedIn) => Ok(()),
            Some(R::PinLocked) => Err(OpenError::PinLocked),
            Some(R::PinIncorrect | R::PinInvalid | R::PinLenRange | R::PinExpired) => {
                self.refused.remember(&seen.serial, &self.pin);
                Err(OpenError::WrongPin)
            }
            _ => Err(error.into()),
        }
    }
}
