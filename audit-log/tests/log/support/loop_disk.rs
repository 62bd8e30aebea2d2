//! A disk that a test may break: an ext4 in a file. Needs root, loop devices and mkfs.ext4.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// An ext4 in a file, mounted.
pub struct LoopDisk {
    image: std::path::PathBuf,
    pub mount: std::path::PathBuf,
}

impl LoopDisk {
    /// None where that needs rights or tools that are not here.
    pub fn make(root: &Path) -> Option<Self> {
        let this = Self { image: root.join("disk"), mount: root.join("mount") };
        std::fs::create_dir(&this.mount).unwrap();
        std::fs::File::create(&this.image).unwrap().set_len(48 << 20).unwrap();
        let possible = run("mkfs.ext4", &["-q", "-F", this.image.to_str()?]);
        (possible && this.mount()).then_some(this)
    }

    fn mount(&self) -> bool {
        run("mount", &["-o", "loop", self.image.to_str().unwrap(), self.mount.to_str().unwrap()])
    }

    /// Power is back, or the administrator has looked after the disk.
    pub fn again(&self) {
        let gone = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            run("umount", &[self.mount.to_str().unwrap()])
        });
        assert!(gone && self.mount());
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Lazily: a child of the control may still have it open for a moment.
        run("umount", &["-l", self.mount.to_str().unwrap()]);
    }
}
