//! What the tests of the whole workspace share: its files, and simple readings of Rust and Markdown.
//!
//! | module | what lives there |
//! |---|---|
//! | [`files`] | the files of the repository |
//! | [`source`] | a Rust file with comments and literals blanked out, and its functions |
//! | [`rules`] | what every Rust file keeps to |
//! | [`markdown`] | links of Markdown files, and tables |
//! | [`hadoop`] | Hadoop's daemons on loopback |
//! | [`typed_mistakes`] | programs that must not compile |

pub mod files;
pub mod hadoop;
pub mod markdown;
pub mod rules;
pub mod source;
pub mod typed_mistakes;

use std::fmt;
use std::path::{Path, PathBuf};

/// Something that breaks a rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the repository's root.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl Finding {
    /// A finding in `line` of `file`.
    pub fn new(file: &Path, line: usize, message: impl Into<String>) -> Finding {
        Finding { file: file.to_path_buf(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

/// Fails with all findings, one a line.
///
/// # Panics
/// When there is a finding.
pub fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), lines.join("\n"));
}
