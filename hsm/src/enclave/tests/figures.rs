//! What single steps cost, without queue and threads: `cargo test -p hsm --lib -- --ignored figures --nocapture`.

use super::*;

#[test]
#[ignore = "prints figures"]
fn figures_of_the_token_alone() {
    isolated("figures::figures_of_the_token_alone", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        let public = create(&enclave, key);
        enclave.close();
        meddle(&fixture, |session| {
            let kek = Kek::find(session).unwrap();
            let copy = kek.session_copy(session).unwrap();
            let record = record(session, key.id);
            let mut arena = crate::arena::Arena::new(Preference::PreferSecret).unwrap();
            let (slot, stack) = arena.parts();
            let time = |what: &str, each: &mut dyn FnMut()| {
                let mut best = f64::MAX;
                for _ in 0..5 {
                    let begun = Instant::now();
                    (0..1000).for_each(|_| each());
                    best = best.min(begun.elapsed().as_secs_f64() * 1e3);
                }
                println!("{what}: {best:.2} us");
            };
            time("unwrap with the session copy", &mut || {
                drop(wrap::unwrap(session, copy, &record, slot).unwrap())
            });
            time("unwrap with the token's key", &mut || {
                drop(wrap::unwrap(session, kek.handle, &record, slot).unwrap())
            });
            let mut unlocked = wrap::unwrap(session, copy, &record, slot).unwrap();
            let g = G1Point::generator();
            for check in [FaultCheck::Curve, FaultCheck::Linear] {
                time(&format!("multiplication, {check:?}"), &mut || {
                    unlocked.multiply(stack, &g, &public.g1, check, &[7; 32]).unwrap();
                });
            }
            time("k·G1 alone, on the guarded stack", &mut || {
                unlocked.belongs_to(stack, &public.g1).unwrap();
            });
            time("an empty section: switch, wipe 64 KiB, registers", &mut || stack.run(|| ()).unwrap());
            let mut buffer = [0; 32];
            time("getrandom(32)", &mut || getrandom::fill(&mut buffer).unwrap());
        });
    });
}
