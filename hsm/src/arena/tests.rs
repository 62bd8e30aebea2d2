#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a failed unwrap is a failed test
#![allow(unsafe_code)] // looks at mapped pages

use std::process::Command;

use super::*;

fn kinds() -> [SecretMemoryPolicy; 2] {
    [SecretMemoryPolicy::PreferSecret, SecretMemoryPolicy::LockedPages]
}

#[test]
fn the_section_runs_on_the_guarded_stack_and_leaves_it_zero() {
    for preference in kinds() {
        let mut arena = Arena::new(preference).unwrap();
        let (_, stack) = arena.parts();
        let (low, high) = (stack.start as usize, stack.start as usize + STACK_LEN);
        let inside = stack.run(|| {
            let local = std::hint::black_box([0xA5_u8; 1024]);
            let at = local.as_ptr() as usize;
            std::hint::black_box(local);
            low < at && at < high
        });
        assert!(inside.unwrap());
        // SAFETY: the stack is mapped and nothing runs on it.
        let left = unsafe { std::slice::from_raw_parts(stack.start, STACK_LEN) };
        assert!(left.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_panic_in_the_section_is_caught_and_leaves_the_stack_zero() {
    let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
    let (_, stack) = arena.parts();
    let outcome = stack.run(|| {
        let local = std::hint::black_box([0xA5_u8; 1024]);
        assert!(local[0] == 0, "on purpose");
    });
    assert!(outcome.is_err());
    // SAFETY: the stack is mapped and nothing runs on it.
    let left = unsafe { std::slice::from_raw_parts(stack.start, STACK_LEN) };
    assert!(left.iter().all(|byte| *byte == 0));
}

#[test]
fn secret_memory_cannot_be_read_through_proc_and_locked_pages_can() {
    use std::io::{Read, Seek, SeekFrom};
    for (preference, readable) in
        [(SecretMemoryPolicy::PreferSecret, false), (SecretMemoryPolicy::LockedPages, true)]
    {
        let mut arena = Arena::new(preference).unwrap();
        if preference == SecretMemoryPolicy::PreferSecret && arena.kind() == SecretMemory::LockedPages {
            continue; // an old kernel
        }
        let (slot, _) = arena.parts();
        slot.page()[0] = 0xA5;
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.seek(SeekFrom::Start(slot.start as u64)).unwrap();
        let mut byte = [0];
        assert_eq!(memory.read_exact(&mut byte).is_ok(), readable, "{preference:?}");
    }
}

#[test]
fn guarded_pages_are_locked_undumpable_and_not_inherited() {
    for preference in kinds() {
        let mut arena = Arena::new(preference).unwrap();
        let start = format!("{:x}-", arena.parts().0.start as usize);
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let entry = smaps.split_once(&start).unwrap().1;
        let flags = entry.lines().find(|line| line.starts_with("VmFlags:")).unwrap();
        for flag in ["lo", "dc", "dd"] {
            // memfd_secret pages carry dd (no dump) by nature; dc is MADV_DONTFORK.
            assert!(flags.split_whitespace().any(|f| f == flag), "{preference:?}: {flag} not in {flags}");
        }
    }
}

#[test]
fn larger_pages_are_mapped_whole_and_a_part_ends_at_its_guard() {
    for policy in kinds() {
        for page in [4096, 16384, 65536] {
            let mapping = Mapping::with_page(&[SLOT_LEN, STACK_LEN], page, policy).unwrap();
            for (index, length) in [(0, SLOT_LEN), (1, STACK_LEN)] {
                let start = mapping.part(index);
                // SAFETY: mapped readable and writable, and used by nothing else.
                unsafe { std::slice::from_raw_parts_mut(start, length) }.fill(0xA5);
                let end = start as usize + length;
                assert_eq!(
                    end % rustix::param::page_size(),
                    0,
                    "{policy:?}: the part does not end with its page"
                );
                let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
                let guard = format!("{end:x}-");
                let guard = maps.lines().find(|line| line.starts_with(&guard));
                assert!(guard.is_some_and(|line| line.contains(" ---p ")), "{policy:?} {page}: {maps}");
            }
        }
    }
}

#[test]
fn a_wiped_slot_is_zero() {
    let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
    let (slot, _) = arena.parts();
    slot.page().fill(0xA5);
    slot.wipe();
    assert!(slot.bytes().iter().all(|byte| *byte == 0));
}

#[test]
fn writing_past_the_slot_kills_the_process() {
    if std::env::var_os("HSM_OVERRUN").is_some() {
        let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
        let (slot, _) = arena.parts();
        // SAFETY: none; the write must hit the guard page.
        unsafe { slot.start.add(SLOT_LEN).write_volatile(1) };
        return;
    }
    let test = "arena::tests::writing_past_the_slot_kills_the_process";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("HSM_OVERRUN", "1")
        .output()
        .unwrap();
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.status.signal(), Some(libc::SIGSEGV));
}

#[test]
fn a_pin_is_one_line_without_its_newline() {
    let read = |text: &str| Pin::read(&mut text.as_bytes(), SecretMemoryPolicy::PreferSecret);
    use secrecy::ExposeSecret;
    assert_eq!(read("secret pin\n").ok().unwrap().expose_secret(), b"secret pin");
    assert_eq!(read("x").ok().unwrap().expose_secret(), b"x");
    assert!(matches!(read(""), Err(PinReadError::Empty)));
    assert!(matches!(read("\n"), Err(PinReadError::Empty)));
    assert!(matches!(read("a\nb\n"), Err(PinReadError::TooLong)));
    assert!(read(&"p".repeat(255)).is_ok());
    assert!(matches!(read(&"p".repeat(256)), Err(PinReadError::TooLong)));
    assert!(matches!(read(&"p".repeat(9000)), Err(PinReadError::TooLong)));
}
