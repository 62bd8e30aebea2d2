//! Threads that take no signals: a handler's frame would copy their registers to ordinary memory.
#![allow(unsafe_code)] // part of the arena: the signal mask has no safe interface

/// Blocks every signal that can be blocked on the calling thread, for good. Faults of its own still arrive.
pub(crate) fn block_signals() {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set; the others only read it or remove members from it.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT] {
            libc::sigdelset(set.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}
