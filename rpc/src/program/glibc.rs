//! Versions of GLIBC: what a program needs, and what a machine has.

use crate::program::elf;
use serde::{Deserialize, Serialize};
use std::env::consts::ARCH;
use std::fmt;
use std::fs::File;
use std::path::Path;

/// The GLIBC that first knew a relocation format which programs need under a name without a number.
const OF_RELR: Glibc = Glibc(2, 36);

/// A version of GLIBC, such as 2.36.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Glibc(
    /// The major version.
    pub u32,
    /// The minor version.
    pub u32,
);

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Glibc {
    /// The version that the name of a symbol version stands for, such as `GLIBC_2.34`.
    pub(super) fn of_symbols(name: &[u8]) -> Option<Glibc> {
        match std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")? {
            "ABI_DT_RELR" => Some(OF_RELR),
            numbers => {
                let mut numbers = numbers.split('.').map(str::parse);
                Some(Glibc(numbers.next()?.ok()?, numbers.next()?.ok()?))
            }
        }
    }

    /// The version that this machine has where programs of its architecture look for it; `None` when it has none.
    pub fn here() -> Option<Glibc> {
        let interpreter = match ARCH {
            "x86_64" => "/lib64/ld-linux-x86-64.so.2",
            "aarch64" => "/lib/ld-linux-aarch64.so.1",
            "riscv64" => "/lib/ld-linux-riscv64-lp64d.so.1",
            "powerpc64" => "/lib64/ld64.so.2",
            "s390x" => "/lib/ld64.so.1",
            _ => return None,
        };
        Glibc::beside(Path::new(interpreter))
    }

    /// The version of the library that lies beside an interpreter: the newest whose symbols it has.
    pub(super) fn beside(interpreter: &Path) -> Option<Glibc> {
        let library = interpreter.canonicalize().ok()?.with_file_name("libc.so.6");
        elf::provided_glibc(File::open(library).ok()?)
    }
}
