//! What a path on HDFS says: which file system, and which file there.

use flinkrs_core::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The scheme of HDFS's paths.
pub(crate) const SCHEME: &str = "hdfs";

/// A path, taken apart: `hdfs://AUTHORITY/PATH`, `hdfs:///PATH`, or `/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// What stands before the path, as it was written; others are named alike.
    prefix: String,
    /// NameNode or nameservice; empty for the default file system.
    pub(crate) authority: String,
    /// Absolute, or relative to the user's folder; without `.`, `..` and doubled slashes.
    pub(crate) path: String,
}

impl Address {
    /// Reads a path.
    ///
    /// # Errors
    /// When it isn't text, or has another scheme.
    pub(crate) fn of(path: &Path) -> Result<Address> {
        let wrong = |what: &str| Error::usage(format!("{}: {what}", path.display()));
        let text = path.to_str().ok_or_else(|| wrong("a path on HDFS has to be UTF-8"))?;
        let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
            return Ok(Address { prefix: String::new(), authority: String::new(), path: normal(text) });
        };
        if scheme != SCHEME {
            return Err(wrong("it isn't a path on HDFS"));
        }
        // `Path::parent` leaves `hdfs:` of `hdfs:///file`.
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let prefix = format!("{SCHEME}://{authority}");
        let path = if path.is_empty() { "/".to_owned() } else { normal(path) };
        Ok(Address { prefix, authority: authority.to_owned(), path })
    }

    /// The path of another file on the same file system, written in the same way.
    pub(crate) fn sibling(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}{path}", self.prefix))
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The path as the NameNode takes it.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let slash = if path.starts_with('/') { "/" } else { "" };
    format!("{slash}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str) -> (String, String) {
        let address = Address::of(Path::new(path)).unwrap();
        (address.authority, address.path)
    }

    #[test]
    fn paths_have_an_authority_or_none() {
        let both = |a: &str, p: &str| (a.to_owned(), p.to_owned());
        assert_eq!(parts("hdfs://nn:9000/a/b"), both("nn:9000", "/a/b"));
        assert_eq!(parts("hdfs://ns"), both("ns", "/"));
        assert_eq!(parts("hdfs:///a//b/./c/../d/"), both("", "/a/b/d"));
        assert_eq!(parts("/../a"), both("", "/a"));
        assert_eq!(parts("a/b"), both("", "a/b"));
        assert_eq!(parts("/a:b"), both("", "/a:b"));
        assert!(Address::of(Path::new("s3://bucket/a")).is_err());
    }

    #[test]
    fn what_std_makes_of_a_path_is_understood() {
        let path = Path::new("hdfs://nn:9000/a/b");
        assert_eq!(parts(path.parent().unwrap().to_str().unwrap()).1, "/a");
        assert_eq!(parts(path.parent().unwrap().parent().unwrap().to_str().unwrap()), ("nn:9000".into(), "/".into()));
        assert_eq!(path.join("c").to_str(), Some("hdfs://nn:9000/a/b/c"));
        assert_eq!(path.with_file_name(".b").to_str(), Some("hdfs://nn:9000/a/.b"));
        let above = Path::new("hdfs:///a").parent().unwrap().join("b");
        assert_eq!(parts(above.to_str().unwrap()), (String::new(), "/b".to_owned()));
    }

    #[test]
    fn siblings_are_written_alike() {
        let address = Address::of(Path::new("hdfs://ns/a")).unwrap();
        assert_eq!(address.sibling("/b/c"), Path::new("hdfs://ns/b/c"));
        assert_eq!(Address::of(Path::new("/a")).unwrap().sibling("/b"), Path::new("/b"));
    }
}
