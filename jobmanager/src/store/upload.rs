//! Executables on their way into the store, and those that were uploaded under a name.

use crate::store::{NAMES, Store, remove};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileSystem, LocalFileSystem};
use flinkrs_rpc::auth::random_bytes;
use flinkrs_rpc::program::Program;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// Bytes of an executable at most.
const ARTIFACT_BYTES: u64 = 4 << 30;

/// Characters of an uploaded executable's name at most.
const NAME_CHARACTERS: usize = 100;

/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;

/// An executable whose hash is not known yet; removed when it is dropped unfinished.
pub(crate) struct Upload {
    store: Store,
    path: PathBuf,
    file: File,
    hash: Sha256,
    bytes: u64,
    is_kept: bool,
}

impl Upload {
    pub(crate) fn begin(store: &Store) -> Result<Upload> {
        let path = store.artifact(&format!("{}.new", hex(&random_bytes::<16>())));
        let file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        let (store, hash) = (store.clone(), Sha256::new());
        Ok(Upload { store, path, file, hash, bytes: 0, is_kept: false })
    }

    /// Adds a piece.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.bytes += piece.len() as u64;
        if self.bytes > ARTIFACT_BYTES {
            return Err(Error::usage(format!("an executable of more than {ARTIFACT_BYTES} bytes")));
        }
        self.hash.update(piece);
        self.file.write_all(piece).map_err(|error| Error::io("write", &self.path, error))
    }

    /// Whether what has come so far is a program that can be run here.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        Program::read(&self.path, name).map(drop)
    }

    /// Stores it under its hash, which has to be `expected` if that is known; returns the hash.
    pub(crate) fn finish(mut self, expected: Option<&str>) -> Result<String> {
        let found = hex(&std::mem::take(&mut self.hash).finalize());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(Error::usage(format!("the upload has the hash {found}, not {expected}")));
        }
        let stored = self.file.sync_all().and_then(|()| fs::rename(&self.path, self.store.artifact(&found)));
        stored.map_err(|error| Error::io("write", &self.path, error))?;
        self.is_kept = true;
        Ok(found)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_kept {
            // What is left of it is found by nobody.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// An executable that was uploaded under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jar {
    /// Its hash and its name.
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its hash.
    pub(crate) artifact: String,
    /// When, in milliseconds since 1970 UTC.
    pub(crate) uploaded_ms: u64,
}

impl Store {
    /// Remembers the name of a stored executable; its id.
    pub(crate) fn put_jar(&self, artifact: &str, name: &str) -> Result<String> {
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let name: String = name.chars().map(plain).take(NAME_CHARACTERS).collect();
        let id = format!("{artifact}_{}", if name.is_empty() { "program" } else { &name });
        let path = self.artifacts.join(NAMES).join(&id);
        File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        Ok(id)
    }

    /// What was uploaded under names.
    pub(crate) fn jars(&self) -> Result<Vec<Jar>> {
        let jar = |path: PathBuf| {
            let id = path.file_name()?.to_str()?.to_owned();
            let (artifact, name) = id.split_at_checked(DIGITS)?;
            let (artifact, name) = (artifact.to_owned(), name.strip_prefix('_')?.to_owned());
            let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok()?;
            let uploaded_ms = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
            Some(Jar { id, name, artifact, uploaded_ms })
        };
        let folder = self.artifacts.join(NAMES);
        let named = LocalFileSystem.list(&folder)?.into_iter().map(|status| status.path);
        Ok(named.filter_map(jar).collect())
    }

    /// Forgets a name, and the executable too unless it is used or has another name.
    pub(crate) fn remove_jar(&self, jar: &Jar, is_used: bool) -> Result<()> {
        remove(&self.artifacts.join(NAMES).join(&jar.id))?;
        if is_used || self.jars()?.iter().any(|other| other.artifact == jar.artifact) {
            return Ok(());
        }
        remove(&self.artifact(&jar.artifact))
    }

    /// The file of an executable, which may be executed.
    ///
    /// Errors when it isn't a program of this version, or when this machine can't run it.
    pub(crate) fn runnable(&self, jar: &Jar) -> Result<PathBuf> {
        let path = self.artifact(&jar.artifact);
        let name = format!("'{}'", jar.name);
        Program::read(&path, &name)?.check_here(&name)?;
        let owner = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&path, owner).map_err(|error| Error::io("prepare", &path, error))?;
        Ok(path)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_goes_with_its_last_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), &folder.path().join("artifacts")).expect("opens");
        let upload = || {
            let mut upload = Upload::begin(&store).expect("begins");
            upload.write(b"first, ").expect("writes");
            upload.write(b"and more").expect("writes");
            upload
        };
        let other = "0".repeat(DIGITS);
        assert!(upload().finish(Some(&other)).expect_err("another hash").to_string().contains("has the hash"));
        assert!(upload().check("'it'").expect_err("no executable").to_string().contains("no executable for Linux"));
        let artifact = upload().finish(None).expect("is stored");
        assert_eq!(fs::read_dir(folder.path().join("artifacts")).expect("lists").count(), 2, "it, and names");
        let first = store.put_jar(&artifact, "../a b").expect("is named");
        assert_eq!(first, format!("{artifact}_a_b"));
        store.put_jar(&artifact, "").expect("is named");
        let jars = store.jars().expect("lists");
        assert_eq!(jars.iter().map(|jar| jar.name.as_str()).collect::<Vec<_>>(), ["a_b", "program"]);
        store.remove_jar(&jars[0], false).expect("removes");
        assert!(store.artifact(&artifact).exists());
        store.remove_jar(&jars[1], true).expect("removes");
        assert!(store.artifact(&artifact).exists() && store.jars().expect("lists").is_empty());
    }
}
