//! System call filter (seccomp). A call that only an attacker makes ends the process; a call that is not
//! needed returns ENOSYS, which libraries can handle.

use std::collections::BTreeMap;

use libc::*;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::error::SandboxError;
use super::settings::Profile;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that only an attacker makes in this process.
#[rustfmt::skip] // several names a line
const FATAL: &[i64] = &[
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd,
    SYS_io_uring_setup, SYS_userfaultfd, SYS_bpf, SYS_perf_event_open, SYS_keyctl, SYS_add_key, SYS_request_key,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_mount,
    SYS_umount2, SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare,
    SYS_open_by_handle_at, SYS_personality, SYS_settimeofday, SYS_clock_settime, SYS_sethostname,
];

/// Memory, threads, time, randomness.
#[rustfmt::skip] // several names a line
const PROCESS: &[i64] = &[
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_mlock, SYS_mlock2, SYS_munlock, SYS_memfd_secret,
    SYS_mincore, SYS_membarrier, SYS_futex, SYS_futex_waitv, SYS_set_robust_list, SYS_rseq, SYS_gettid,
    SYS_getpid, SYS_getppid, SYS_exit, SYS_exit_group, SYS_sched_yield, SYS_sched_getaffinity, SYS_sigaltstack,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_restart_syscall,
    SYS_getcpu, SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
    SYS_getrandom, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid,
    SYS_getrusage, SYS_sysinfo, SYS_uname, SYS_times, SYS_capget, SYS_getgroups,
];

/// Files. Landlock decides which.
#[rustfmt::skip] // several names a line
const FILES: &[i64] = &[
    SYS_openat, SYS_close, SYS_close_range, SYS_read, SYS_readv, SYS_pread64, SYS_preadv, SYS_preadv2,
    SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_pwritev2, SYS_lseek, SYS_fstat, SYS_newfstatat,
    SYS_statx, SYS_fstatfs, SYS_statfs, SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_getcwd,
    SYS_getdents64, SYS_fcntl, SYS_flock, SYS_dup, SYS_dup3, SYS_fsync, SYS_fdatasync, SYS_syncfs,
    SYS_sync_file_range, SYS_fallocate, SYS_ftruncate, SYS_truncate, SYS_fadvise64, SYS_renameat, SYS_renameat2,
    SYS_unlinkat, SYS_mkdirat, SYS_linkat, SYS_symlinkat, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat,
    SYS_utimensat, SYS_umask, SYS_copy_file_range, SYS_sendfile,
];

/// Readiness, and connections of clients.
#[rustfmt::skip] // several names a line
const SERVING: &[i64] = &[
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_eventfd2, SYS_pipe2, SYS_ppoll,
    SYS_pselect6, SYS_timerfd_create, SYS_timerfd_settime, SYS_accept, SYS_accept4, SYS_recvfrom, SYS_recvmsg,
    SYS_sendto, SYS_sendmsg, SYS_shutdown, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
];

/// Connections that this process opens.
const CONNECTING: &[i64] = &[SYS_connect, SYS_bind, SYS_sendmmsg, SYS_recvmmsg];

/// What client libraries of HSMs use to talk to their own daemons.
#[rustfmt::skip] // several names a line
const DAEMONS: &[i64] = &[
    SYS_socketpair, SYS_semget, SYS_semop, SYS_semctl, SYS_semtimedop, SYS_shmget, SYS_shmat, SYS_shmdt,
    SYS_shmctl, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl,
];

/// Older names of the same things, which glibc and SQLite still use where they exist.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip] // several names a line
const LEGACY: &[i64] = &[
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_rename, SYS_unlink, SYS_mkdir, SYS_rmdir,
    SYS_chmod, SYS_chown, SYS_getdents, SYS_poll, SYS_select, SYS_epoll_wait, SYS_epoll_create, SYS_eventfd,
    SYS_pipe, SYS_dup2, SYS_arch_prctl, SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: &[i64] = &[];

/// The filters. The kernel asks each of them at every call, and the strictest result counts.
pub(super) fn programs(profile: Profile, connect: bool) -> Result<Vec<BpfProgram>, SandboxError> {
    let compiled = || {
        let refused = SeccompAction::Errno(u32::try_from(ENOSYS).unwrap_or_default());
        let fatal = FATAL.iter().map(|call| (*call, Vec::new())).collect();
        Ok(vec![
            compile(fatal, SeccompAction::Allow, SeccompAction::KillProcess)?,
            // Last: it does not allow another one.
            compile(allowed(profile, connect)?, refused, SeccompAction::Allow)?,
        ])
    };
    compiled().map_err(SandboxError::Processor)
}

fn compile(
    rules: Rules,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let processor: TargetArch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, listed, processor)?.try_into()
}

fn allowed(profile: Profile, connect: bool) -> Result<Rules, BackendError> {
    let network = profile == Profile::Network;
    let mut rules = Rules::new();
    // These are let through to the other filter, which ends the process.
    for list in [PROCESS, FILES, SERVING, LEGACY, FATAL] {
        rules.extend(list.iter().map(|call| (*call, Vec::new())));
    }
    if network || connect {
        rules.extend(CONNECTING.iter().map(|call| (*call, Vec::new())));
    }
    let mut families = Vec::new();
    if network {
        rules.extend(DAEMONS.iter().map(|call| (*call, Vec::new())));
        families.push(AF_UNIX);
    }
    if network || connect {
        families.extend([AF_INET, AF_INET6, AF_NETLINK]);
        rules
            .insert(SYS_socket, families.into_iter().map(|family| one(0, family)).collect::<Result<_, _>>()?);
    }

    // Threads, not processes. glibc asks clone3 first, whose flags a filter cannot see; refused, it takes clone.
    rules.insert(SYS_clone, vec![bits(0, CLONE_THREAD, CLONE_THREAD)?]);
    // Nothing writable becomes code: neither in one step nor in two.
    rules.insert(SYS_mmap, vec![bits(2, PROT_WRITE, 0)?, bits(2, PROT_EXEC, 0)?]);
    rules.insert(SYS_mprotect, vec![bits(2, PROT_EXEC, 0)?]);
    // abort() and panics; no other process.
    rules.insert(SYS_tgkill, vec![one(0, i32::try_from(std::process::id()).unwrap_or(-1))?]);
    rules.insert(SYS_prctl, vec![one(0, PR_SET_NAME)?]);
    // Reading limits, not setting them.
    let reads = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    rules.insert(SYS_prlimit64, vec![SeccompRule::new(vec![reads])?]);
    let controls = [FIONBIO, FIONREAD, FIOCLEX, TCGETS];
    let controls = controls.iter().map(|control| argument(1, SeccompCmpOp::Eq, *control));
    rules.insert(SYS_ioctl, controls.collect::<Result<_, _>>()?);
    Ok(rules)
}

fn one(index: u8, value: i32) -> Result<SeccompRule, BackendError> {
    argument(index, SeccompCmpOp::Eq, u64::from(value.cast_unsigned()))
}

fn bits(index: u8, mask: i32, value: i32) -> Result<SeccompRule, BackendError> {
    let mask = u64::from(mask.cast_unsigned());
    argument(index, SeccompCmpOp::MaskedEq(mask), u64::from(value.cast_unsigned()))
}

fn argument(index: u8, how: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(index, SeccompCmpArgLen::Dword, how, value)?])
}
