//! The program that a command is about: found, and read before it is run.

use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::program::Program;
use std::path::{Path, PathBuf};

/// The file of a program: here, or else in the folders of `PATH` if its name is no path.
///
/// Errors when there is none, when it isn't a program of this version of flinkrs, or when this machine can't run it.
pub(crate) fn find(program: &Path) -> Result<PathBuf> {
    let path = if program.components().count() > 1 || program.is_absolute() {
        program.to_owned()
    } else if program.exists() {
        // Without a folder it would be looked for in `PATH`.
        Path::new(".").join(program)
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file());
        found.ok_or_else(|| Error::io("find program", program, std::io::Error::from(std::io::ErrorKind::NotFound)))?
    };
    let name = program.display().to_string();
    Program::read(&path, &name)?.check_here(&name)?;
    Ok(path)
}
