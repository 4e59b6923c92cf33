//! Secrets: read from files, compared in constant time, never printed.

use crate::error::{Error, Result};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Fewer bytes can be guessed.
const LEAST_BYTES: usize = 16;

/// A file with more is none that was made for this.
const MOST_BYTES: usize = 4096;

/// Bytes that prove who somebody is; shown by no formatter.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads a secret from a file that only its owner can read; white space around it doesn't count.
    ///
    /// Errors when others can read the file, too, and when it has fewer than 16 or more than 4,096 bytes.
    pub fn read(path: &Path) -> Result<Secret> {
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let mode = file.metadata().map_err(|e| Error::io("find", path, e))?.mode() & 0o777;
        let shown = path.display();
        if mode & 0o077 != 0 {
            return Err(Error::usage(format!(
                "secret {shown} can be read or written by others (mode {mode:o}); `chmod 600 {shown}` changes that"
            )));
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
        let secret = bytes.trim_ascii();
        if secret.len() < LEAST_BYTES || bytes.len() > MOST_BYTES {
            return Err(Error::usage(format!(
                "secret {shown} has to have {LEAST_BYTES} to {MOST_BYTES} bytes; `openssl rand -hex 32` makes one"
            )));
        }
        Ok(Secret(secret.to_vec()))
    }

    /// The bytes themselves, for what proves them to others.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether somebody has shown the same bytes; takes as long when they differ early as when they differ late.
    pub fn is(&self, shown: &[u8]) -> bool {
        let differing = self.0.iter().zip(shown).fold(0, |differing, (a, b)| differing | (a ^ b));
        std::hint::black_box(differing) == 0 && self.0.len() == shown.len()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
