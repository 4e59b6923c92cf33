//! From a path to its file system, by the scheme.

use crate::error::{Error, Result};
use crate::fs::{FileSystem, LocalFileSystem};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Makes the file system of an authority, such as `namenode:8020`; empty for the scheme's default.
pub type OpenFileSystem = fn(authority: &str) -> Result<Arc<dyn FileSystem>>;

/// The scheme of the machine's own files.
const LOCAL: &str = "file";

/// A path with the file system that it lies on.
#[derive(Clone)]
pub struct Located {
    /// The file system.
    pub files: Arc<dyn FileSystem>,
    /// The path as the file system takes it, and from which [`locate`] finds it again, wherever that runs.
    pub path: PathBuf,
}

/// What this process knows; the same for all of its jobs.
struct Known {
    schemes: BTreeMap<&'static str, OpenFileSystem>,
    /// Made so far, by scheme and authority.
    open: BTreeMap<(String, String), Arc<dyn FileSystem>>,
    /// What stands before paths without a scheme, such as `hdfs://namenode:8020`; empty for local ones.
    default: String,
}

static KNOWN: Mutex<Known> =
    Mutex::new(Known { schemes: BTreeMap::new(), open: BTreeMap::new(), default: String::new() });

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says how the file systems of a scheme are made. The first time counts.
pub fn register(scheme: &'static str, open: OpenFileSystem) {
    known().schemes.entry(scheme).or_insert(open);
}

/// Sets what stands before paths without a scheme: a scheme with or without authority, such as
/// `hdfs://namenode:8020`, `hdfs:///` or `file:///`. Flink's option `fs.default-scheme`.
///
/// # Errors
/// When it isn't that, or there is no file system of this scheme.
pub fn set_default_scheme(default: &str) -> Result<()> {
    let wrong = |what: String| Error::usage(format!("fs.default-scheme is '{default}'; {what}"));
    let (scheme, authority) = split(default)
        .ok_or_else(|| wrong("it has to be a scheme, such as hdfs://namenode:8020, hdfs:/// or file:///".to_owned()))?;
    let authority = authority.trim_end_matches('/');
    if authority.contains('/') {
        return Err(wrong("it may not have a path".to_owned()));
    }
    let mut known = known();
    known.default = match scheme {
        LOCAL => String::new(),
        other if known.schemes.contains_key(other) => format!("{other}://{authority}"),
        other => return Err(wrong(known.missing(other))),
    };
    Ok(())
}

/// The scheme that a path has, such as `hdfs`.
pub fn scheme_of(path: &Path) -> Option<&str> {
    split(path.to_str()?).map(|(scheme, _)| scheme)
}

/// Finds the file system of a path.
///
/// # Errors
/// When there is none for its scheme, or it can't be made.
pub fn locate(path: &Path) -> Result<Located> {
    let local = |path: PathBuf| Located { files: Arc::new(LocalFileSystem), path };
    // Only what is text can have a scheme.
    let Some(text) = path.to_str() else { return Ok(local(path.to_path_buf())) };
    let mut known = known();
    let text = match split(text) {
        Some((LOCAL, rest)) => return Ok(local(PathBuf::from(rest))),
        Some(_) => text.to_owned(),
        None if known.default.is_empty() => return Ok(local(path.to_path_buf())),
        None => known.with_default(text)?,
    };
    let (scheme, rest) = split(&text).unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let files = known.open(scheme, authority).map_err(|what| match what {
        Error::Usage { message } => Error::usage(format!("{}: {message}", path.display())),
        other => other,
    })?;
    Ok(Located { files, path: PathBuf::from(&text) })
}

impl Known {
    /// The path in the default file system; one that isn't absolute is in the user's folder there.
    fn with_default(&mut self, path: &str) -> Result<String> {
        let default = self.default.clone();
        if path.starts_with('/') {
            return Ok(format!("{default}{path}"));
        }
        let (scheme, authority) = split(&default).unwrap_or_default();
        let absolute = self.open(scheme, authority)?.absolute(Path::new(path));
        absolute.and_then(|path| path.to_str().map(str::to_owned)).ok_or_else(|| {
            Error::usage(format!("{path} is no path of a file on {default}, which fs.default-scheme names"))
        })
    }

    fn open(&mut self, scheme: &str, authority: &str) -> Result<Arc<dyn FileSystem>> {
        let key = (scheme.to_owned(), authority.to_owned());
        if let Some(files) = self.open.get(&key) {
            return Ok(Arc::clone(files));
        }
        let open = *self.schemes.get(scheme).ok_or_else(|| Error::usage(self.missing(scheme)))?;
        let files = open(authority)?;
        self.open.insert(key, Arc::clone(&files));
        Ok(files)
    }

    fn missing(&self, scheme: &str) -> String {
        let mut names = vec!["local paths".to_owned(), "file://".to_owned()];
        names.extend(self.schemes.keys().map(|scheme| format!("{scheme}://")));
        let last = names.pop().unwrap_or_default();
        format!("there is no file system for {scheme}://; {} and {last} are known", names.join(", "))
    }
}

/// Scheme and rest of `scheme://rest`.
fn split(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_scheme.then_some((scheme, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &str) -> String {
        locate(Path::new(path)).err().expect("there is none").to_string()
    }

    /// One test: what it sets is the process's.
    #[test]
    fn paths_are_found_by_their_schemes() {
        let at = |path: &str| locate(Path::new(path)).expect("it is local").path;
        assert_eq!(at("a//b"), Path::new("a//b"));
        assert_eq!(at("file:///a b"), Path::new("/a b"));
        assert_eq!(at("c:d"), Path::new("c:d"));
        assert_eq!(at("/not a/scheme://x"), Path::new("/not a/scheme://x"));
        let said = "s3://b/x: there is no file system for s3://; local paths and file:// are known";
        assert_eq!(message("s3://b/x"), said);
        register("mem", |authority| match authority {
            "none" => Err(Error::usage("it can't be made")),
            _ => Ok(Arc::new(LocalFileSystem)),
        });
        assert_eq!(at("mem://host:1/a"), Path::new("mem://host:1/a"));
        assert_eq!(message("mem://none/a"), "mem://none/a: it can't be made");
        assert!(message("s3://b/x").ends_with("; local paths, file:// and mem:// are known"));
        assert_eq!(scheme_of(Path::new("mem://host/a")), Some("mem"));
        for (wrong, why) in [("mem", "has to be a scheme"), ("mem://a/b", "not have a path"), ("s3://b", "no file")] {
            let said = set_default_scheme(wrong).expect_err("it is wrong").to_string();
            assert!(said.starts_with(&format!("fs.default-scheme is '{wrong}'")) && said.contains(why), "{said}");
        }
        set_default_scheme("mem://host:1/").expect("it is known");
        assert_eq!(at("/a"), Path::new("mem://host:1/a"));
        assert_eq!(at("file:///a"), Path::new("/a"));
        set_default_scheme("file:///").expect("it is known");
        assert_eq!(at("/a"), Path::new("/a"));
    }
}
