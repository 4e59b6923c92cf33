//! Files that are programs, that aren't, and that were made to do harm.

use super::*;
use std::io::Cursor;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A small executable for x86_64: a note and the versions that it needs, in the sections that linkers give them.
struct Elf {
    machine: u16,
    kind: u16,
    note: Vec<u8>,
    needs: Vec<u8>,
    strings: Vec<u8>,
}

impl Elf {
    fn new(versions: &[&str]) -> Elf {
        let mut strings = b"\0libc.so.6\0".to_vec();
        let mut needs = words(&[1 | (versions.len() as u32) << 16, 1, 16, 0]);
        for (i, version) in versions.iter().enumerate() {
            let next = if i + 1 == versions.len() { 0 } else { 16 };
            needs.extend(words(&[0, 0, strings.len() as u32, next]));
            strings.extend(version.bytes().chain([0]));
        }
        Elf { machine: 62, kind: 3, note: NoteSection::new(TARGET).bytes(), needs, strings }
    }

    /// Header, contents, section headers.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend(self.kind.to_le_bytes().into_iter().chain(self.machine.to_le_bytes()));
        bytes.resize(64, 0);
        let (mut headers, mut table) = (vec![0; 64], Vec::new());
        for (kind, link, content) in [(7, 0, &self.note), (0x6fff_fffe, 3, &self.needs), (3, 0, &self.strings)] {
            table.clear();
            table.extend(words(&[0, kind, 2, 0, 0, 0, bytes.len() as u32, 0, content.len() as u32, 0, link, 0, 4, 0]));
            table.resize(64, 0);
            headers.extend(&table);
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let at = bytes.len() as u64;
        bytes[40..48].copy_from_slice(&at.to_le_bytes());
        bytes[52..64].copy_from_slice(&[64, 0, 56, 0, 0, 0, 64, 0, 4, 0, 3, 0]);
        bytes.extend(headers);
        bytes
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn decode(bytes: &[u8]) -> Result<Program> {
    Program::decode(Cursor::new(bytes), "'x'")
}

fn refusal(bytes: &[u8]) -> String {
    let error = decode(bytes).expect_err("is refused");
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_says_what_it_is_and_needs() {
    let program = decode(&Elf::new(&["GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.9", "GLIBC_PRIVATE"]).bytes());
    let program = program.expect("is a program");
    let note = Note { version: VERSION.to_owned(), protocol: PROTOCOL, target: TARGET.to_owned() };
    assert_eq!(program, Program { note, interpreter: None, glibc: Some(Glibc(2, 34)) });
    assert_eq!(decode(&Elf::new(&["GLIBC_ABI_DT_RELR"]).bytes()).expect("is one").glibc, Some(Glibc(2, 36)));
    assert_eq!(decode(&Elf::new(&[]).bytes()).expect("is one").glibc, None);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn what_cannot_run_here_is_refused_with_the_reason() {
    assert_eq!(refusal(b"#!/bin/sh\n"), "'x' is no program of flinkrs: it is no executable for Linux (ELF)");
    assert_eq!(refusal(b""), refusal(b"\x7fEL"));
    let with = |change: &dyn Fn(&mut Elf)| {
        let mut elf = Elf::new(&["GLIBC_2.34"]);
        change(&mut elf);
        refusal(&elf.bytes())
    };
    assert_eq!(
        with(&|elf| elf.kind = 1),
        "'x' is no program of flinkrs: it is an object file (ELF), not an executable"
    );
    let other = "'x' is an executable for aarch64, and this machine is x86_64; build it for x86_64";
    assert_eq!(with(&|elf| elf.machine = 183), other);
    assert!(with(&|elf| elf.note[12] = b'F').contains("without the note that the library leaves"));
    let protocol = format!("(protocol {}), and this is flinkrs {VERSION} (protocol {PROTOCOL})", PROTOCOL + 1);
    assert!(with(&|elf| elf.note[20] += 1).contains(&protocol));
    assert!(with(&|elf| elf.note[24] = b'9').contains("was built with flinkrs 9"));
}

#[test]
fn an_older_glibc_is_named_beside_the_newer() {
    let note = Note { version: VERSION.to_owned(), protocol: PROTOCOL, target: TARGET.to_owned() };
    let program = Program { note, interpreter: None, glibc: Some(Glibc(2, 39)) };
    let check = |has| program.check_glibc("'x'", "this machine", has).map_err(|error| error.to_string());
    assert_eq!(check(Some(Glibc(2, 39))), Ok(()));
    assert_eq!(check(Some(Glibc(3, 0))), Ok(()));
    let older = check(Some(Glibc(2, 9))).expect_err("is older");
    assert!(older.starts_with("'x' needs GLIBC 2.39, and this machine has GLIBC 2.9; build it for"), "{older}");
    assert!(check(None).expect_err("there is none").contains("this machine has none"));
}

/// This test itself is an executable of this machine: what it needs, the machine has.
#[test]
#[cfg(target_env = "gnu")]
fn the_glibc_of_this_machine_is_found() {
    let myself = std::env::current_exe().expect("it runs");
    let found = elf::read(File::open(myself).expect("opens")).expect("is an executable");
    let (needs, has) = (found.glibc.expect("it links GLIBC"), Glibc::here().expect("there is one"));
    assert!(Glibc(2, 0) < needs && needs <= has, "{needs} {has}");
    assert_eq!(Glibc::beside(&found.interpreter.expect("it has one")), Some(has));
}

/// Each byte of a program is set to what lengths and offsets make trouble with; and it is cut everywhere.
#[test]
fn no_content_makes_it_panic_or_hang() {
    let good = Elf::new(&["GLIBC_2.34", "GLIBC_2.35"]).bytes();
    for at in 0..good.len() {
        let _ = decode(&good[..at]);
        for wrong in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] = wrong;
            let _ = decode(&bad);
            let until = bad.len().min(at + 8);
            bad[at..until].fill(wrong);
            let _ = decode(&bad);
        }
    }
}

/// Lists that lead back, or that are longer than any program's.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_list_without_end_is_refused() {
    let mut elf = Elf::new(&[]);
    // Each entry begins one byte behind the one before: a megabyte of them, with 65535 names each.
    elf.needs = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0].repeat(1 << 16);
    let said = refusal(&elf.bytes());
    assert!(said.contains("too many entries") || said.contains("are broken"), "{said}");
}
