//! Executables of Linux, read as far as they say what they are, and within limits that no content moves.

use crate::program::{Glibc, NAME, Note, TYPE};
use object::elf::{
    EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64, ET_DYN, ET_EXEC, FileHeader32, FileHeader64,
    Machine, PT_INTERP, SHT_NOTE,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endian, Endianness, FileKind, ReadCache, ReadRef};
use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{Read, Seek};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Bytes that are read of a file at most, counted again when they are read again.
const BYTES_MAX: u64 = 32 << 20;

/// Bytes of a text in a file at most; as long a text is searched for its end.
const TEXT_BYTES_MAX: u64 = 4096;

/// Entries of tables that are looked at at most: a program needs a few dozen versions, and GLIBC has about a hundred.
const ENTRIES_MAX: usize = 10_000;

/// Not an executable of Linux, and why.
#[derive(Debug)]
pub(super) struct NoExecutable(pub(super) &'static str);

impl From<object::Error> for NoExecutable {
    fn from(_: object::Error) -> NoExecutable {
        NoExecutable("its ELF headers are broken")
    }
}

/// What remains of [`ENTRIES_MAX`] after one more.
fn one_more(left: usize) -> Result<usize, NoExecutable> {
    left.checked_sub(1).ok_or(NoExecutable("its ELF tables have too many entries"))
}

/// An executable.
pub(super) struct Executable {
    pub(super) architecture: String,
    pub(super) note: Option<Note>,
    pub(super) interpreter: Option<PathBuf>,
    pub(super) glibc: Option<Glibc>,
}

/// A file, and how much of it may still be read.
struct Limited<'a, R: Read + Seek> {
    file: &'a ReadCache<R>,
    left: &'a Cell<u64>,
}

impl<R: Read + Seek> Clone for Limited<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Read + Seek> Copy for Limited<'_, R> {}

impl<R: Read + Seek> Limited<'_, R> {
    fn take(self, bytes: u64) -> Result<(), ()> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(())?);
        Ok(())
    }
}

impl<'a, R: Read + Seek> ReadRef<'a> for Limited<'a, R> {
    fn len(self) -> Result<u64, ()> {
        self.file.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.take(size)?;
        self.file.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        self.take(TEXT_BYTES_MAX)?;
        self.file.read_bytes_at_until(range, delimiter)
    }
}

/// Reads an executable.
pub(super) fn read(file: impl Read + Seek) -> Result<Executable, NoExecutable> {
    let (file, left) = (ReadCache::new(file), Cell::new(BYTES_MAX));
    let data = Limited { file: &file, left: &left };
    match FileKind::parse(data) {
        Ok(FileKind::Elf64) => executable::<FileHeader64<Endianness>, _>(data),
        Ok(FileKind::Elf32) => executable::<FileHeader32<Endianness>, _>(data),
        _ => Err(NoExecutable("it is no executable for Linux (ELF)")),
    }
}

/// The newest version of GLIBC whose symbols a library has.
pub(super) fn provided_glibc(file: impl Read + Seek) -> Option<Glibc> {
    let (file, left) = (ReadCache::new(file), Cell::new(BYTES_MAX));
    let data = Limited { file: &file, left: &left };
    match FileKind::parse(data) {
        Ok(FileKind::Elf64) => provided::<FileHeader64<Endianness>, _>(data).ok()?,
        Ok(FileKind::Elf32) => provided::<FileHeader32<Endianness>, _>(data).ok()?,
        _ => None,
    }
}

fn executable<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(data: R) -> Result<Executable, NoExecutable> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
        return Err(NoExecutable("it is an object file (ELF), not an executable"));
    }
    let architecture = name_of(header.e_machine(endian), header.is_class_64(), endian);
    Ok(Executable {
        architecture,
        note: note(header, endian, data)?,
        interpreter: interpreter(header, endian, data)?,
        glibc: needed(header, endian, data)?,
    })
}

/// An architecture as Rust calls it.
fn name_of(machine: Machine, is_64: bool, endian: Endianness) -> String {
    match machine {
        EM_X86_64 if is_64 => "x86_64",
        EM_386 => "x86",
        EM_AARCH64 if is_64 => "aarch64",
        EM_ARM => "arm",
        EM_RISCV if is_64 => "riscv64",
        EM_PPC64 if endian.is_big_endian() => "powerpc64 (big endian)",
        EM_PPC64 => "powerpc64",
        EM_S390 => "s390x",
        other => return format!("machine {} of ELF", other.0),
    }
    .to_owned()
}

/// The note of flinkrs.
fn note<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    header: &Elf,
    endian: Endianness,
    data: R,
) -> Result<Option<Note>, NoExecutable> {
    let sections = header.sections(endian, data)?;
    for section in sections.iter().filter(|section| section.sh_type(endian) == SHT_NOTE) {
        let Ok(Some(mut notes)) = section.notes(endian, data) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name_bytes() == NAME && note.n_type(endian).0 == TYPE {
                return Ok(decode(note.desc(), endian));
            }
        }
    }
    Ok(None)
}

fn decode(content: &[u8], endian: Endianness) -> Option<Note> {
    let (protocol, texts) = content.split_first_chunk::<4>()?;
    let mut texts = texts.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    let protocol = if endian.is_big_endian() { u32::from_be_bytes(*protocol) } else { u32::from_le_bytes(*protocol) };
    Some(Note { protocol, version: texts.next()?, target: texts.next()? })
}

fn interpreter<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    header: &Elf,
    endian: Endianness,
    data: R,
) -> Result<Option<PathBuf>, NoExecutable> {
    for segment in header.program_headers(endian, data)?.iter().filter(|of| of.p_type(endian) == PT_INTERP) {
        if let Some(path) = segment.interpreter(endian, data)? {
            return Ok(Some(PathBuf::from(OsStr::from_bytes(path))));
        }
    }
    Ok(None)
}

/// The newest version of GLIBC whose symbols are needed.
fn needed<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    header: &Elf,
    endian: Endianness,
    data: R,
) -> Result<Option<Glibc>, NoExecutable> {
    let sections = header.sections(endian, data)?;
    let Some((mut needs, link)) = sections.gnu_verneed(endian, data)? else { return Ok(None) };
    let strings = sections.strings(endian, data, link)?;
    let (mut newest, mut left) = (None, ENTRIES_MAX);
    while let Some((_, mut of_library)) = needs.next()? {
        while let Some(need) = of_library.next()? {
            left = one_more(left)?;
            newest = newest.max(Glibc::of_symbols(need.name(endian, strings)?));
        }
        left = one_more(left)?;
    }
    Ok(newest)
}

fn provided<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(data: R) -> Result<Option<Glibc>, NoExecutable> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let Some((mut versions, link)) = sections.gnu_verdef(endian, data)? else { return Ok(None) };
    let strings = sections.strings(endian, data, link)?;
    let (mut newest, mut left) = (None, ENTRIES_MAX);
    while let Some((_, mut names)) = versions.next()? {
        // The first is its name, others are those that it follows.
        if let Some(name) = names.next()? {
            newest = newest.max(Glibc::of_symbols(name.name(endian, strings)?));
        }
        left = one_more(left)?;
    }
    Ok(newest)
}
