//! Whom this process believes: root and its own user.

use rustix::fs::{FileType, Stat};

use crate::error::FileProblem;

/// Who may read a file that this process reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Every user: it is no secret.
    Everyone,
    /// Its owner and its group: a key that several servers share.
    OwnerAndGroup,
    /// Its owner. Where root owns it and the process is not root, its group, too: then the file was
    /// given to the service.
    Owner,
}

/// Others may write.
const OTHERS_WRITE: u32 = 0o002;
/// The group may write.
const GROUP_WRITE: u32 = 0o020;
/// Only the owner of an entry removes or renames it.
const STICKY: u32 = 0o1000;
/// New entries get the group of the directory.
const SET_GROUP: u32 = 0o2000;

/// Owner, group and permission bits of something.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) kind: FileType,
    owner: u32,
    group: u32,
    mode: u32,
}

impl From<Stat> for Found {
    fn from(stat: Stat) -> Self {
        let mode = stat.st_mode;
        Self {
            kind: FileType::from_raw_mode(mode),
            owner: stat.st_uid,
            group: stat.st_gid,
            mode: mode & 0o7777,
        }
    }
}

/// The user and groups of this process.
pub(crate) struct Trust {
    user: u32,
    groups: Vec<u32>,
}

impl Trust {
    pub(crate) fn of_this_process() -> Self {
        let mut groups: Vec<_> = rustix::process::getgroups()
            .unwrap_or_default()
            .into_iter()
            .map(|group| group.as_raw())
            .collect();
        groups.push(rustix::process::getegid().as_raw());
        Self { user: rustix::process::geteuid().as_raw(), groups }
    }

    /// A directory on the way: no other user exchanges what is in it. One with the sticky bit, such as
    /// /tmp, is enough: the owner of each entry is checked, too.
    pub(crate) fn passes(&self, found: Found) -> Result<(), FileProblem> {
        if found.mode & STICKY != 0 { self.owner(found) } else { self.directory(found) }
    }

    /// A directory to keep files in: no other user creates one there either.
    pub(crate) fn directory(&self, found: Found) -> Result<(), FileProblem> {
        self.owner(found)?;
        // What a container gives: a volume of root whose group is the pod's (`fsGroup`), or group 0.
        let pod = found.owner == 0 && found.mode & SET_GROUP != 0 && self.groups.contains(&found.group);
        let ignored = if found.group == 0 || pod { GROUP_WRITE } else { 0 };
        writers(found, ignored)
    }

    /// A link: its permission bits mean nothing.
    pub(crate) fn owner(&self, found: Found) -> Result<(), FileProblem> {
        match found.owner {
            0 => Ok(()),
            owner if owner == self.user => Ok(()),
            owner => Err(FileProblem::Owner { owner, mode: found.mode, user: self.user }),
        }
    }

    pub(crate) fn file(&self, found: Found, readers: Readers) -> Result<(), FileProblem> {
        if found.kind != FileType::RegularFile {
            return Err(FileProblem::NotAFile);
        }
        self.owner(found)?;
        writers(found, 0)?;
        // A secret of root for the service's group: a volume of Kubernetes, a credential of systemd.
        let given =
            found.owner == 0 && self.user != 0 && (found.group == 0 || self.groups.contains(&found.group));
        let refused = match readers {
            Readers::Everyone => 0,
            Readers::OwnerAndGroup => 0o037,
            Readers::Owner if given => 0o037,
            Readers::Owner => 0o077,
        };
        let Found { owner, group, mode, .. } = found;
        if mode & refused == 0 { Ok(()) } else { Err(FileProblem::Readable { owner, group, mode }) }
    }
}

fn writers(found: Found, ignored: u32) -> Result<(), FileProblem> {
    let Found { owner, group, mode, .. } = found;
    if mode & (OTHERS_WRITE | GROUP_WRITE) & !ignored == 0 {
        return Ok(());
    }
    Err(FileProblem::Writable { owner, group, mode })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    fn at(kind: FileType, owner: u32, group: u32, mode: u32) -> Found {
        Found { kind, owner, group, mode }
    }

    #[test]
    fn directories_of_hosts_and_containers_pass_and_those_with_other_writers_do_not() {
        let trust = Trust { user: 10001, groups: vec![10001, 2000] };
        let directory = |owner, group, mode| at(FileType::Directory, owner, group, mode);
        for (owner, group, mode, way, keep) in [
            (0, 0, 0o755, true, true),
            (10001, 10001, 0o700, true, true),
            (0, 0, 0o1777, true, false),     // /tmp
            (0, 2000, 0o2775, true, true),   // a volume with `fsGroup: 2000`
            (10001, 0, 0o770, true, true),   // a container whose group is 0
            (0, 0, 0o775, true, true),       // the same
            (0, 3000, 0o2775, false, false), // a group that is not the service's
            (0, 2000, 0o775, false, false),  // no volume of a pod
            (10001, 10001, 0o775, false, false),
            (0, 2000, 0o2777, false, false),
            (0, 0, 0o777, false, false),
            (4242, 4242, 0o755, false, false),
            (4242, 4242, 0o1777, false, false),
        ] {
            let found = directory(owner, group, mode);
            assert_eq!(trust.passes(found).is_ok(), way, "{owner} {group} {mode:o}");
            assert_eq!(trust.directory(found).is_ok(), keep, "{owner} {group} {mode:o}");
        }
    }

    #[test]
    fn files_of_root_and_of_this_user_pass_if_no_other_user_may_read_them() {
        let trust = Trust { user: 10001, groups: vec![10001, 2000] };
        let file = |owner, group, mode| at(FileType::RegularFile, owner, group, mode);
        for (owner, group, mode, everyone, group_too, alone) in [
            (10001, 10001, 0o600, true, true, true),
            (0, 0, 0o400, true, true, true),
            (10001, 10001, 0o640, true, true, false),
            (0, 2000, 0o440, true, true, true), // a secret of a pod with `fsGroup: 2000`
            (0, 0, 0o440, true, true, true),    // `LoadCredential` of systemd: an ACL
            (0, 3000, 0o440, true, true, false),
            (0, 0, 0o444, true, false, false),
            (10001, 10001, 0o660, false, false, false),
            (0, 0, 0o664, false, false, false),
            (4242, 4242, 0o600, false, false, false),
        ] {
            let found = file(owner, group, mode);
            let passes = |readers| trust.file(found, readers).is_ok();
            assert_eq!(passes(Readers::Everyone), everyone, "{owner} {group} {mode:o}");
            assert_eq!(passes(Readers::OwnerAndGroup), group_too, "{owner} {group} {mode:o}");
            assert_eq!(passes(Readers::Owner), alone, "{owner} {group} {mode:o}");
        }
        let root = Trust { user: 0, groups: vec![0] };
        root.file(file(0, 0, 0o440), Readers::Owner).unwrap_err();
        let pipe = at(FileType::Fifo, 10001, 10001, 0o600);
        assert!(matches!(trust.file(pipe, Readers::Everyone), Err(FileProblem::NotAFile)));
    }
}
