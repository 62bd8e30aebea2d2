//! Processes beside the one under test: one with the PIN, and one that does not protect its scalar.

use std::fs;
use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::UserType;

use super::read_scalars;
use crate::support::MODULE;

/// The clear scalars, as a program with the PIN can read them: not the program under test, but from the
/// records' documented format.
#[test]
#[ignore = "child process of another test"]
fn the_keeper_of_the_pin() {
    let Some(data) = std::env::var_os("RESIDUE_DATA").map(PathBuf::from) else { return };
    let pin = fs::read_to_string(data.join("pin")).unwrap();
    let module = Pkcs11::new(MODULE).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slots = module.get_slots_with_initialized_token().unwrap();
    let session = module.open_ro_session(slots[0]).unwrap();
    session.login(UserType::User, Some(&pin.trim().to_owned().into())).unwrap();
    let find = |class| session.find_objects(&[Attribute::Class(class)]).unwrap();
    let kek = find(ObjectClass::SECRET_KEY)[0];
    let mut scalars = String::new();
    for object in find(ObjectClass::DATA) {
        let wanted = [AttributeType::Label, AttributeType::Value];
        let found = session.get_attributes(object, &wanted).unwrap();
        let (Attribute::Label(label), Attribute::Value(value)) = (&found[0], &found[1]) else { panic!() };
        if !label.starts_with(b"bn254/") {
            continue;
        }
        // header 270 and the name, whose length is byte 63 | IV length 1 | IV 12 | sealed length 2 | sealed 48 | hash 32
        let (header, rest) = value.split_at(270 + usize::from(value[63]));
        let (aad, mut iv) = ([b"avs-kms/record/2", header].concat(), rest[1..13].to_vec());
        let gcm = Mechanism::AesGcm(GcmParams::new(&mut iv, &aad, 128.into()).unwrap());
        let scalar = session.decrypt(&gcm, kek, &rest[15..63]).unwrap();
        scalars += &format!("{}\n", hex::encode(scalar));
    }
    fs::write(data.join("scalars"), scalars).unwrap();
}

/// What an ordinary program does: the scalar in a variable, multiplied by arkworks, over and over.
#[test]
#[ignore = "child process of another test"]
fn an_ordinary_program() {
    use ark_ec::{AffineRepr, CurveGroup};
    use ark_ff::PrimeField;
    let Some(data) = std::env::var_os("RESIDUE_DATA").map(PathBuf::from) else { return };
    let scalar = read_scalars(&data)[0];
    fs::write(data.join("ready"), "").unwrap();
    loop {
        let k = ark_bn254::Fr::from_be_bytes_mod_order(&scalar);
        let _ = std::hint::black_box((ark_bn254::G1Affine::generator() * k).into_affine());
    }
}
