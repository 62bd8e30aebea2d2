//! A scalar in the clear: what may be done with it, and that it is gone afterwards. Not for getting it out.
//!
//! Everything that touches its bytes runs on the guarded stack, allocates nothing and makes no system call.

use bn254_ct::{
    Fault, FaultCheck, G1Point, SCALAR_LEN, multiply_checked, multiply_g1_generator, multiply_g2_generator,
    scalar_in_range,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::scheme::PLAIN_LEN;
use crate::arena::{SLOT_LEN, Slot, Stack};
use crate::pkcs11::{Session, TokenError};

/// Guard of a slot with a scalar in its first 32 bytes, big-endian. Dropping it wipes the slot.
pub(crate) struct UnwrappedScalar<'slot> {
    slot: &'slot mut Slot,
}

/// Why no product came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UseError {
    /// The bytes are no scalar: the token did not give what was sealed.
    #[error("the unwrapped bytes are no scalar")]
    OutOfRange,
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why no scalar was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerateError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the kernel's generator failed")]
    Random(#[from] getrandom::Error),
    #[error("128 draws in a row were out of range: the generators are broken")]
    Exhausted,
}

/// See [`UnwrappedScalar::fingerprint`].
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint([u8; 32]);

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Tries before giving up on a draw; 128 rejections in a row have probability 10^-79.
const DRAWS: usize = 128;

impl<'slot> UnwrappedScalar<'slot> {
    pub(super) fn guard(slot: &'slot mut Slot) -> Self {
        Self { slot }
    }

    pub(super) fn slot(&mut self) -> &mut Slot {
        self.slot
    }

    pub(super) fn page(&mut self) -> &mut [u8; SLOT_LEN] {
        self.slot.page()
    }

    /// A fresh scalar, uniform in [1, r): the token's generator XOR the kernel's, masked to 254 bits, rejected until
    /// it fits. Either generator alone makes it unpredictable.
    pub(crate) fn generate(
        session: &Session,
        slot: &'slot mut Slot,
        stack: &mut Stack,
    ) -> Result<Self, GenerateError> {
        let mut fresh = Self { slot };
        for _ in 0..DRAWS {
            let (first, rest) = fresh.halves();
            session.random(first)?;
            getrandom::fill(rest)?;
            let fits = fresh.on(stack, |page| {
                if let Some((scalar, other)) = page.split_first_chunk_mut::<PLAIN_LEN>() {
                    scalar.iter_mut().zip(other.iter_mut().take(PLAIN_LEN)).for_each(|(a, b)| {
                        *a ^= *b;
                        *b = 0;
                    });
                    scalar[0] &= 0x3f;
                }
                bool::from(scalar_in_range(scalar_of(page)))
            });
            if fits {
                return Ok(fresh);
            }
        }
        Err(GenerateError::Exhausted)
    }

    /// 32 fresh bytes that are a symmetric key, no scalar: the token's generator XOR the kernel's.
    pub(crate) fn random_key(session: &Session, slot: &'slot mut Slot) -> Result<Self, GenerateError> {
        let mut fresh = Self { slot };
        let (first, rest) = fresh.halves();
        session.random(first)?;
        getrandom::fill(rest)?;
        first.iter_mut().zip(rest.iter_mut()).for_each(|(a, b)| {
            *a ^= *b;
            *b = 0;
        });
        Ok(fresh)
    }

    /// Copies a symmetric key to a page of its own. Never for a scalar: the store key alone is asked for so.
    pub(crate) fn copy_key_to(&self, page: &mut [u8; SLOT_LEN]) {
        page.iter_mut().zip(self.plain()).for_each(|(place, byte)| *place = *byte);
    }

    fn halves(&mut self) -> (&mut [u8], &mut [u8]) {
        let (first, rest) = self.slot.page().split_at_mut(PLAIN_LEN);
        (first, rest.get_mut(..PLAIN_LEN).unwrap_or_default())
    }

    /// The scalar's bytes, for `sealing` to hand to the token; nothing else reads them off the guarded stack.
    pub(super) fn plain(&self) -> &[u8; PLAIN_LEN] {
        scalar_of(self.slot.bytes())
    }

    /// The same, for the tests that search memory for it.
    #[cfg(test)]
    pub(crate) fn plain_for_test(&self) -> [u8; PLAIN_LEN] {
        *self.plain()
    }

    /// Whether both slots hold the same bytes, in constant time.
    pub(crate) fn equals(&mut self, stack: &mut Stack, other: &UnwrappedScalar<'_>) -> bool {
        self.on(stack, |page| scalar_of(page).ct_eq(other.plain()).into())
    }

    /// Whether it is this known plaintext.
    pub(crate) fn holds(&self, known: &[u8; PLAIN_LEN]) -> bool {
        self.plain().ct_eq(known).into()
    }

    /// `k·G1` and `k·G2`.
    pub(crate) fn public_keys(&mut self, stack: &mut Stack) -> Result<([u8; 64], [u8; 128]), UseError> {
        self.on(stack, |page| {
            let scalar = in_range(page)?;
            Ok((multiply_g1_generator(scalar), multiply_g2_generator(scalar)))
        })
    }

    /// Whether `k·G1` is `g1`: proves that the token gave the scalar this record was made for.
    pub(crate) fn belongs_to(&mut self, stack: &mut Stack, g1: &G1Point) -> Result<bool, UseError> {
        let product = self.on(stack, |page| Ok(multiply_g1_generator(in_range(page)?)));
        product.map(|product| product == g1.to_bytes())
    }

    /// Digest of the scalar under a key of this process: tells in a fraction of a microsecond whether the token gave the
    /// same scalar as before. It is one-way and the key dies with the process.
    pub(crate) fn fingerprint(&mut self, stack: &mut Stack, key: &[u8; 32]) -> Fingerprint {
        self.on(stack, |page| {
            let digest = Sha256::new().chain_update(key).chain_update(scalar_of(page)).finalize();
            Fingerprint(digest.into())
        })
    }

    /// `k·point`, checked as `check` says. `blinding` randomises the computation's coordinates.
    pub(crate) fn multiply(
        &mut self,
        stack: &mut Stack,
        point: &G1Point,
        g1: &G1Point,
        check: FaultCheck,
        blinding: &[u8; 32],
    ) -> Result<[u8; 64], UseError> {
        self.on(stack, |page| {
            let scalar = in_range(page)?;
            Ok(multiply_checked(scalar, point, g1, check, blinding)?)
        })
    }

    /// Runs `section` on the guarded stack. After a panic the process ends: whatever state led there held a secret.
    pub(super) fn on<R>(&mut self, stack: &mut Stack, section: impl FnOnce(&mut [u8; SLOT_LEN]) -> R) -> R {
        let page = self.slot.page();
        match stack.run(|| section(page)) {
            Ok(result) => result,
            Err(panicked) => {
                self.slot.wipe();
                tracing::error!(
                    ?panicked,
                    "a multiplication panicked; slot and stack are wiped, the process ends"
                );
                std::process::abort()
            }
        }
    }
}

fn scalar_of(page: &[u8; SLOT_LEN]) -> &[u8; PLAIN_LEN] {
    const { assert!(PLAIN_LEN == SCALAR_LEN && PLAIN_LEN <= SLOT_LEN) };
    // Always there, as just asserted; zeros are no scalar and are refused.
    page.first_chunk().unwrap_or(&[0; PLAIN_LEN])
}

fn in_range(page: &[u8; SLOT_LEN]) -> Result<&[u8; PLAIN_LEN], UseError> {
    let scalar = scalar_of(page);
    if bool::from(scalar_in_range(scalar)) { Ok(scalar) } else { Err(UseError::OutOfRange) }
}

impl Drop for UnwrappedScalar<'_> {
    fn drop(&mut self) {
        self.slot.wipe();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a failed unwrap is a failed test

    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;
    use crate::arena::{Arena, SecretMemoryPolicy};

    fn holding(arena: &mut Arena, scalar: [u8; 32]) -> (UnwrappedScalar<'_>, &mut Stack) {
        let (slot, stack) = arena.parts();
        slot.page()[..32].copy_from_slice(&scalar);
        (UnwrappedScalar::guard(slot), stack)
    }

    fn number(last: u8) -> [u8; 32] {
        let mut scalar = [0; 32];
        scalar[31] = last;
        scalar
    }

    #[test]
    fn the_slot_is_zero_once_the_guard_is_gone() {
        let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
        let (mut unlocked, stack) = holding(&mut arena, number(7));
        let g1 = G1Point::from_bytes(&unlocked.public_keys(stack).unwrap().0).unwrap();
        let product = unlocked.multiply(stack, &G1Point::generator(), &g1, FaultCheck::Linear, &[9; 32]);
        assert_eq!(product.unwrap(), g1.to_bytes());
        drop(unlocked);
        assert!(arena.parts().0.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn bytes_out_of_range_are_never_multiplied() {
        let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
        let order = "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
        let order: [u8; 32] = hex::decode(order).unwrap().try_into().unwrap();
        let g = G1Point::generator();
        for scalar in [[0; 32], order, [0xff; 32]] {
            for check in [FaultCheck::Linear, FaultCheck::Curve] {
                let (mut unlocked, stack) = holding(&mut arena, scalar);
                assert_eq!(unlocked.multiply(stack, &g, &g, check, &[9; 32]), Err(UseError::OutOfRange));
                assert_eq!(unlocked.public_keys(stack), Err(UseError::OutOfRange));
                assert_eq!(unlocked.belongs_to(stack, &g), Err(UseError::OutOfRange));
            }
        }
    }

    #[test]
    fn a_scalar_of_another_key_gives_nothing_under_the_linear_check() {
        let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
        let (mut unlocked, stack) = holding(&mut arena, number(2));
        let g = G1Point::generator();
        assert_eq!(
            unlocked.multiply(stack, &g, &g, FaultCheck::Linear, &[9; 32]),
            Err(UseError::Fault(Fault::Mismatch))
        );
        assert_eq!(unlocked.belongs_to(stack, &g), Ok(false));
    }

    #[test]
    fn a_panic_with_a_scalar_in_hand_ends_the_process() {
        if std::env::var_os("HSM_PANIC").is_some() {
            let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
            let (mut unlocked, stack) = holding(&mut arena, number(2));
            unlocked.on(stack, |_| panic!("on purpose"));
            return;
        }
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "wrap::scalar::tests::a_panic_with_a_scalar_in_hand_ends_the_process"])
            .env("HSM_PANIC", "1")
            .output()
            .unwrap();
        assert_eq!(child.status.signal(), Some(libc::SIGABRT));
    }
}
