/* Put before the C library: kills the process at the KILL_AT-th write to, or sync of, a file whose path contains KILL_IN.
 * With KILL_ALL also at plain writes, at syncs of directories and new files, and at renames.
 * strace can do that too, but not look into a process that cannot be dumped, unless it has CAP_SYS_PTRACE: no container has. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;

static void count(int fd) {
    const char *in = getenv("KILL_IN"), *at = getenv("KILL_AT");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlinkat(AT_FDCWD, link, path, sizeof path - 1);
    if (in == NULL || at == NULL || length < 0)
        return;
    path[length] = 0;
    /* The index of SQLite's log lives in memory only. */
    if (strstr(path, in) != NULL && strstr(path, "-shm") == NULL && atomic_fetch_add(&calls, 1) + 1 == atol(at))
        raise(SIGKILL);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    count(fd);
    return syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

int fdatasync(int fd) {
    count(fd);
    return (int)syscall(SYS_fdatasync, fd);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    if (getenv("KILL_ALL") != NULL)
        count(fd);
    return syscall(SYS_write, fd, bytes, length);
}

int fsync(int fd) {
    if (getenv("KILL_ALL") != NULL)
        count(fd);
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to) {
    int parent = getenv("KILL_ALL") != NULL ? open(from, O_PATH | O_CLOEXEC) : -1;
    if (parent >= 0) {
        count(parent);
        close(parent);
    }
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
