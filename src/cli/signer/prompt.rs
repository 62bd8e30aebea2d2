//! Password prompt: one line of standard input, with the echo off on a terminal.

use std::io::IsTerminal;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::cli::error::CliError;
use crate::cli::output::say;

/// The longest line, bytes.
const MOST: usize = 1_024;

/// Switches the echo of a terminal off, and back on however the reading ends.
struct NoEcho(Option<Termios>);

impl NoEcho {
    fn begin() -> Self {
        let stdin = std::io::stdin();
        let before = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            // Where this fails the terminal shows what is typed.
            let _ = tcsetattr(&stdin, OptionalActions::Flush, &silent);
        }
        Self(before)
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}

pub(super) fn read_password(prompt: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    if std::io::stdin().is_terminal() {
        say(prompt);
    }
    let _no_echo = NoEcho::begin();
    // Byte by byte: the buffer of the standard library is never wiped.
    let mut line = Zeroizing::new(Vec::with_capacity(MOST));
    let mut byte = Zeroizing::new([0; 1]);
    while line.len() < MOST {
        match rustix::io::read(std::io::stdin(), &mut *byte) {
            Ok(0) => break,
            Ok(_) if *byte == *b"\n" => break,
            Ok(_) => line.extend_from_slice(&*byte),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(CliError::context("cannot read the password", &error)),
        }
    }
    Ok(line)
}
