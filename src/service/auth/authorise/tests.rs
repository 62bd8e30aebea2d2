#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use super::*;
use crate::key::{Binding, KeyName, LifecycleAction, Registry, VersionSelector};
use crate::service::{ChangeKey, CreateKey, ListKeys, Message, ShowKey, Sign};

fn scope_of(operation: &dyn Operation) -> &'static str {
    operation.info().scope().unwrap().as_str()
}

/// What each operation takes, in the words of `docs/concepts/identities-and-scopes.md`.
#[test]
fn every_operation_on_keys_asks_for_its_scope_and_its_owner() {
    let (eoa, name) = (Eoa::new([1; 20]), KeyName::default());
    let sign = |message| -> Box<dyn Operation> {
        Box::new(Sign::new(eoa, KeyName::default(), VersionSelector::Current, message))
    };
    let (chain_id, verifying_contract, operator, avs) = (1, eoa, eoa, eoa);
    let point = crate::eigenlayer::hash_to_g1(&[1; 32]);
    let place =
        |registry| Message::Registration(Binding { chain_id, registry, verifying_contract, operator });
    let registrar = place(Registry::KeyRegistrar { avs, operator_set_id: 1 });
    let table: Vec<(Box<dyn Operation>, &str, &str, bool)> = vec![
        (Box::new(ListKeys { eoa, state: None, after: None, most: 1 }), "keys.list", "keys:read", false),
        (Box::new(ShowKey { eoa, name: name.clone() }), "keys.show", "keys:read", true),
        (
            Box::new(CreateKey { eoa, name: name.clone(), binding: None, policy: None }),
            "keys.create",
            "keys:create",
            true,
        ),
        (sign(Message::Point(point)), "scalar_mul", "sign:point", true),
        (sign(Message::Digest([1; 32])), "sign.digest", "sign:digest", true),
        (
            sign(Message::Certificate { reference_timestamp: 1, message_hash: [1; 32] }),
            "sign.certificate",
            "sign:typed",
            true,
        ),
        (sign(place(Registry::BlsApkRegistry)), "sign.registration", "sign:typed", true),
        (sign(registrar), "sign.registration", "sign:typed", true),
    ];
    for (operation, called, scope, names_a_key) in table {
        assert_eq!((operation.info().name, scope_of(&*operation)), (called, scope));
        assert_eq!(operation.owner(), eoa, "{called}");
        assert_eq!(operation.key_name(), names_a_key.then_some(&name), "{called}");
        assert!(!operation.info().irrevocable, "{called}");
    }
}

#[test]
fn a_change_of_a_key_takes_the_right_to_rotate_and_a_destruction_more_than_a_token() {
    for (change, called, scope, irrevocable) in [
        (LifecycleAction::Activate, "keys.activate", "keys:rotate", false),
        (LifecycleAction::Retire, "keys.retire", "keys:rotate", false),
        (LifecycleAction::Unretire, "keys.unretire", "keys:rotate", true),
        (LifecycleAction::Disable, "keys.disable", "keys:rotate", false),
        (LifecycleAction::Enable, "keys.enable", "keys:rotate", false),
        (LifecycleAction::ScheduleDestroy, "keys.destroy", "keys:destroy", true),
        (LifecycleAction::Restore, "keys.restore", "keys:destroy", true),
        (LifecycleAction::Destroy, "keys.destroy_due", "keys:destroy", true),
    ] {
        let eoa = Eoa::new([1; 20]);
        let (name, version, reason) = (KeyName::default(), None, None);
        let request = ChangeKey { eoa, name, version, change, after_days: 7, reason };
        assert_eq!(
            (request.info().name, scope_of(&request), request.info().irrevocable),
            (called, scope, irrevocable)
        );
        assert_eq!((request.owner(), request.key_name()), (eoa, Some(&KeyName::default())));
    }
}
