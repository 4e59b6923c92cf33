//! Patterns of paths, on any file system.

use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileStatus, FileSystem};
use glob::{MatchOptions, Pattern};
use std::path::{Path, PathBuf};

/// As shells match: `*` and `?` neither cross folders nor find hidden files.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A path with `*`, `?`, `[a-z]` or `**`.
pub(crate) struct Glob {
    /// The folder above all matches.
    base: PathBuf,
    /// What follows, part by part.
    parts: Vec<Part>,
}

enum Part {
    /// Any number of folders.
    Folders,
    /// A file or folder whose name matches.
    Named(Pattern),
}

/// Whether a path is a pattern.
pub(crate) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

impl Glob {
    /// Reads a pattern; the error says where it is wrong.
    pub(crate) fn new(path: &Path) -> Result<Glob> {
        let text = path.to_str().unwrap_or_default();
        let start = text.find(['*', '?', '[']).unwrap_or(text.len());
        let start = text[..start].rfind('/').map_or(0, |slash| slash + 1);
        let (base, rest) = text.split_at(start);
        let mut parts = Vec::new();
        let mut at = start;
        for part in rest.split('/') {
            match part {
                "" => {}
                "**" => parts.push(Part::Folders),
                name => {
                    let wrong = |error: glob::PatternError| {
                        let at = at + error.pos;
                        Error::usage(format!("the pattern {text} is wrong at byte {at}: {}", error.msg))
                    };
                    parts.push(Part::Named(Pattern::new(name).map_err(wrong)?));
                }
            }
            at += part.len() + 1;
        }
        let base = if base.len() > 1 { base.trim_end_matches('/') } else { base };
        Ok(Glob { base: PathBuf::from(base), parts })
    }

    /// What matches, by path; nothing if there is nothing.
    pub(crate) fn find(&self, files: &dyn FileSystem) -> Result<Vec<FileStatus>> {
        let listed = if self.base.as_os_str().is_empty() { Path::new(".") } else { &self.base };
        let mut found = Vec::new();
        if files.exists(listed)? && files.status(listed)?.is_dir {
            descend(files, &self.base, &self.parts, &mut found)?;
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found.dedup();
        Ok(found)
    }
}

/// Adds what matches `parts` below `folder`.
fn descend(files: &dyn FileSystem, folder: &Path, parts: &[Part], found: &mut Vec<FileStatus>) -> Result<()> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    if let Part::Folders = part {
        descend(files, folder, rest, found)?;
    }
    let is_here = folder.as_os_str().is_empty();
    for mut entry in files.list(if is_here { Path::new(".") } else { folder })? {
        let Some(name) = entry.path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        // Named as the pattern is.
        if is_here {
            entry.path = PathBuf::from(&name);
        }
        match part {
            Part::Folders if entry.is_dir && !name.starts_with('.') => {
                if rest.is_empty() {
                    found.push(entry.clone());
                }
                descend(files, &entry.path, parts, found)?;
            }
            Part::Named(pattern) if pattern.matches_with(&name, OPTIONS) => match rest {
                [] => found.push(entry),
                rest if entry.is_dir => descend(files, &entry.path, rest, found)?,
                _ => {}
            },
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::fs::LocalFileSystem;

    #[test]
    fn patterns_find_what_shells_find() {
        let root = tempfile::tempdir().expect("a folder for the test");
        for name in ["a/b/1.txt", "a/b/2.txt", "a/c/1.txt", "a/c/.1.txt", "a/.d/1.txt", "1.txt"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("has a folder")).expect("creates");
            std::fs::write(path, name).expect("writes");
        }
        let find = |pattern: &str| {
            let found =
                Glob::new(&root.path().join(pattern)).expect("a pattern").find(&LocalFileSystem).expect("listed");
            let name =
                |status: &FileStatus| status.path.strip_prefix(root.path()).expect("below").display().to_string();
            found.iter().map(name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(find("a/*/1.txt"), "a/b/1.txt a/c/1.txt");
        assert_eq!(find("a/[bc]/?.txt"), "a/b/1.txt a/b/2.txt a/c/1.txt");
        assert_eq!(find("**/1.txt"), "1.txt a/b/1.txt a/c/1.txt");
        assert_eq!(find("a/**/*"), "a/b a/b/1.txt a/b/2.txt a/c a/c/1.txt");
        assert_eq!(find("*"), "1.txt a");
        assert_eq!((find("none/*"), find("1.txt/*")), (String::new(), String::new()));
        let error = Glob::new(Path::new("x/a[")).err().expect("it is wrong").to_string();
        assert!(error.starts_with("the pattern x/a[ is wrong at byte 3: "), "{error}");
    }
}
