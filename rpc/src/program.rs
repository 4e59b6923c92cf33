//! What a program says of itself before it is run or shipped: a note in its executable, and what the file needs.
//!
//! Every program that links flinkrs carries the note, an ELF note in a section of its own: the version of flinkrs, the
//! version of what crosses wires (the JobGraph's format with it), and the target that it was built for. The tools read
//! it first, so that what can't work is one error and not a process that behaves strangely. Files come from strangers:
//! what is read of them is bounded, and nothing of it is trusted.

mod elf;
mod glibc;

pub use glibc::Glibc;

use crate::{PROTOCOL, VERSION};
use flinkrs_core::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::env::consts::ARCH;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

/// The name of the note, with the zero that ends it.
const NAME: [u8; 8] = *b"flinkrs\0";

/// The type of the note.
const TYPE: u32 = 1;

/// Bytes of the version and the target, each with a zero behind it.
const TEXT_BYTES: usize = 120;

/// Bytes of an executable that are hashed at once.
const HASHED_BYTES: usize = 1 << 20;

/// What helps a program that needs another C library than a host has.
const RECIPE: &str = "build it for a target with its own C library, such as x86_64-unknown-linux-musl (\"Building for \
                      other machines\" in docs/cluster.md)";

/// The note as it lies in a section `.note.flinkrs` of a program.
#[repr(C, align(4))]
pub struct NoteSection {
    name_bytes: u32,
    content_bytes: u32,
    kind: u32,
    name: [u8; 8],
    protocol: u32,
    texts: [u8; TEXT_BYTES],
}

impl NoteSection {
    /// The note of this version for a target, such as `x86_64-unknown-linux-gnu`.
    pub const fn new(target: &str) -> NoteSection {
        let mut texts = [0; TEXT_BYTES];
        let (version, target) = (VERSION.as_bytes(), target.as_bytes());
        assert!(version.len() + target.len() + 2 <= TEXT_BYTES, "the note has room for both");
        let mut i = 0;
        while i < version.len() {
            texts[i] = version[i];
            i += 1;
        }
        i = 0;
        while i < target.len() {
            texts[version.len() + 1 + i] = target[i];
            i += 1;
        }
        let content_bytes = 4 + TEXT_BYTES as u32;
        NoteSection { name_bytes: 8, content_bytes, kind: TYPE, name: NAME, protocol: PROTOCOL, texts }
    }

    /// Its bytes, for whoever puts it into a file by other means than a linker.
    pub fn bytes(&self) -> Vec<u8> {
        let head = [self.name_bytes, self.content_bytes, self.kind].map(u32::to_ne_bytes);
        [head.as_flattened(), &self.name, &self.protocol.to_ne_bytes(), &self.texts].concat()
    }
}

/// What a program's note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The version of flinkrs that it links.
    pub version: String,
    /// The version of what it says to others.
    pub protocol: u32,
    /// What it was built for.
    pub target: String,
}

/// A program that this version of flinkrs can run on this architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What its note says.
    pub note: Note,
    /// What starts it on a host, and loads its libraries; `None`: it needs none.
    pub interpreter: Option<PathBuf>,
    /// The newest version of GLIBC whose symbols it needs; `None`: it needs no GLIBC.
    pub glibc: Option<Glibc>,
}

impl Program {
    /// Reads a file, which messages call `name`.
    ///
    /// Errors when it can't be read, isn't an executable for Linux, is for another architecture, carries no note, or is
    /// of another version.
    pub fn read(path: &Path, name: &str) -> Result<Program> {
        let file = File::open(path).map_err(|error| Error::io("read", path, error))?;
        if !file.metadata().map_err(|error| Error::io("read", path, error))?.is_file() {
            return Err(Error::usage(format!("{name} is no program of flinkrs: it is no file")));
        }
        Program::decode(file, name)
    }

    /// The same for anything that can be read.
    pub fn decode(file: impl Read + Seek, name: &str) -> Result<Program> {
        let wrong = |what: &str| Error::usage(format!("{name} is no program of flinkrs: {what}"));
        let found = elf::read(file).map_err(|elf::NoExecutable(what)| wrong(what))?;
        if found.architecture != ARCH {
            return Err(Error::usage(format!(
                "{name} is an executable for {}, and this machine is {ARCH}; build it for {ARCH}",
                found.architecture
            )));
        }
        let note = found.note.ok_or_else(|| {
            wrong("it is an executable without the note that the library leaves; build it with the crate flinkrs")
        })?;
        if (note.protocol, note.version.as_str()) != (PROTOCOL, VERSION) {
            return Err(Error::usage(format!(
                "{name} was built with flinkrs {} (protocol {}), and this is flinkrs {VERSION} (protocol {PROTOCOL}); \
                 build it again with {VERSION}",
                note.version, note.protocol
            )));
        }
        Ok(Program { note, interpreter: found.interpreter, glibc: found.glibc })
    }

    /// Whether this machine has the C library that the program needs.
    ///
    /// Errors when its GLIBC is older, or when it has none.
    pub fn check_here(&self, name: &str) -> Result<()> {
        let Some(interpreter) = &self.interpreter else { return Ok(()) };
        if !interpreter.exists() {
            let what = interpreter.display();
            return Err(Error::usage(format!(
                "{name} is started by {what}, which this machine doesn't have; {RECIPE}"
            )));
        }
        self.check_glibc(name, "this machine", Glibc::beside(interpreter))
    }

    /// Whether a machine whose GLIBC is `has` can run the program; `None` when it has none.
    pub fn check_glibc(&self, name: &str, machine: &str, has: Option<Glibc>) -> Result<()> {
        match (self.glibc, has) {
            (None, _) => Ok(()),
            (Some(needs), Some(has)) if needs <= has => Ok(()),
            (Some(needs), has) => {
                let has = has.map_or_else(|| "has none".to_owned(), |has| format!("has GLIBC {has}"));
                Err(Error::usage(format!("{name} needs GLIBC {needs}, and {machine} {has}; {RECIPE}")))
            }
        }
    }
}

/// The SHA-256 of an executable, in hexadecimal digits: the name under which clusters keep it. Reads all of it.
pub fn hash_of(path: &Path) -> Result<String> {
    let failed = |error| Error::io("read", path, error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; HASHED_BYTES]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests;
