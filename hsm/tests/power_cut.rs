//! Simulated power cuts: SoftHSM never syncs, so a key may be reported only after the enclave has.
//!
//! The token is on a loop-mounted ext4 whose shutdown ioctl (0x8004587d, no flush of its journal) drops whatever was not on
//! the disk. Needs root and loop devices; elsewhere it is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::print_stdout)] // the figures are printed

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hsm::*;
use test_report::Guarantee;

#[path = "support/token.rs"]
mod support;
use support::*;

fn sh(script: &str) -> bool {
    Command::new("sh").args(["-c", script]).output().is_ok_and(|output| output.status.success())
}

struct Disk {
    image: PathBuf,
    mounted: PathBuf,
}

impl Disk {
    fn mount(&self) -> bool {
        sh(&format!("mount -o loop,commit=300 {} {}", self.image.display(), self.mounted.display()))
    }

    fn cut(&self) {
        let ioctl = "open(F,'<',$ARGV[0]) or die; my $a=pack('L',2); ioctl(F,0x8004587d,$a) or die";
        assert!(sh(&format!("perl -e \"{}\" {}", ioctl.replace('$', "\\$"), self.mounted.display())));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        sh(&format!("umount {} || umount -l {}", self.mounted.display(), self.mounted.display()));
    }
}

fn victim(fixture: &Fixture) {
    let sync = std::env::var_os("HSM_NO_SYNC").is_none();
    let settings = fixture.settings();
    let softhsm = settings.softhsm.clone().filter(|_| sync);
    let enclave = Enclave::open(Settings { softhsm, ..settings }).unwrap();
    loop {
        let key = new_key(1);
        create(&enclave, key);
        println!("made {}", key.id);
        std::io::stdout().flush().unwrap();
    }
}

/// Cuts the power a while after keys have been reported; gives how many were, and how many are lost.
fn cut(name: &str, fixture: &Fixture, disk: &Disk, sync: bool) -> (usize, usize) {
    let mut command = again(name, &fixture.directory);
    command.env("HSM_VICTIM", "1").stdout(Stdio::piped()).stderr(Stdio::null());
    if !sync {
        command.env("HSM_NO_SYNC", "1");
    }
    let mut child = command.spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (begun, mut reported) = (Instant::now(), Vec::new());
    for line in output.lines().map_while(Result::ok) {
        reported.extend(line.split_once("made ").map(|(_, id)| id.parse::<KeyId>().unwrap()));
        if reported.len() >= 5 || begun.elapsed() > Duration::from_secs(5) {
            break; // only what was reported before the cut counts
        }
    }
    disk.cut();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(sh(&format!("umount {}", disk.mounted.display())));
    assert!(disk.mount());
    restore_softhsm_token(&fixture.plan()).unwrap();
    let enclave = fixture.open();
    let lost = reported.iter().filter(|id| enclave.public_key(**id).is_none()).count();
    for entry in enclave.keys() {
        assert!(signs(&enclave, entry.id, &entry.public_key));
    }
    enclave.close();
    (reported.len(), lost)
}

#[test]
fn a_power_cut_loses_no_reported_key_and_would_without_the_sync() {
    let name = "a_power_cut_loses_no_reported_key_and_would_without_the_sync";
    isolated(name, |fixture| {
        if std::env::var_os("HSM_VICTIM").is_some() {
            return victim(&fixture);
        }
        let place = tempfile::tempdir().unwrap();
        let disk = Disk { image: place.path().join("disk"), mounted: fixture.directory.clone() };
        let made = sh(&format!("truncate -s 32M {0} && mkfs.ext4 -q {0}", disk.image.display()));
        if !made || !Path::new("/usr/bin/perl").exists() || !disk.mount() {
            Guarantee::PowerCut.skipped("needs root, loop devices, mkfs.ext4 and perl");
            return;
        }
        fixture.initialised();
        let cuts = if std::env::var_os("AVS_KMS_LONG").is_some() { 40 } else { 4 };
        let sum = |sync| {
            (0..cuts).map(|_| cut(name, &fixture, &disk, sync)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
        };
        let (reported, lost) = sum(true);
        println!("{cuts} power cuts: {reported} keys reported, {lost} lost");
        let (control, gone) = sum(false);
        println!("control without the sync: {control} keys reported, {gone} lost");
        assert_eq!(lost, 0);
        assert!(reported > 0 && gone > 0, "the cut must lose keys where nothing is synced");
        Guarantee::PowerCut.shown();
    });
}
