//! The user's trash: what is replaced can be had back for as long as the cluster says.

use crate::files::HdfsFileSystem;
use flinkrs_core::error::Result;
use flinkrs_core::fs::FileSystem;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Nobody else may look into a user's trash.
const PERMISSION: u32 = 0o700;

impl HdfsFileSystem {
    /// Moves what lies at `path` and lay at `original` to `.Trash/Current/ORIGINAL` in the user's folder; what lies
    /// there already keeps its name, and the new one gets the time behind its own, as by Hadoop's own clients.
    pub(crate) fn move_to_trash(&self, path: &Path, original: &Path) -> Result<()> {
        let original = self.inner(original)?;
        let mut target = self.home().join(".Trash/Current").join(original.trim_start_matches('/'));
        let folder = target.parent().map(Path::to_path_buf).unwrap_or_default();
        if let Err(error) = self.create_dir_with(&folder, PERMISSION) {
            // A file lies where a folder of the trash should be: the folder gets another name.
            if !matches!(&error, flinkrs_core::Error::Io { source, .. } if source.kind() == ErrorKind::AlreadyExists
                || source.kind() == ErrorKind::NotADirectory || source.kind() == ErrorKind::Other)
            {
                return Err(error);
            }
            let other = PathBuf::from(format!("{}{}", self.home().join(".Trash/Current").display(), now_ms()));
            target = other.join(original.trim_start_matches('/'));
            self.create_dir_with(target.parent().unwrap_or(&other), PERMISSION)?;
        }
        if self.exists(&target)? {
            target = PathBuf::from(format!("{}{}", target.display(), now_ms()));
        }
        self.rename(path, &target)
    }
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}
