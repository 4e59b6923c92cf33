//! What every Rust file keeps to.

use crate::Finding;
use crate::source::Source;
use std::path::Path;

/// A file is at most this long.
pub const FILE_LINES: usize = 800;

/// A function is at most this long.
pub const FUNCTION_LINES: usize = 70;

/// A line has at most this many characters.
pub const COLUMNS: usize = 120;

/// A file or function that was over its limit when the rule came; it may shrink, and never grow.
pub struct Outlier {
    /// The file, from the repository's root.
    pub file: &'static str,
    /// The function, or `None` for the file itself.
    pub function: Option<&'static str>,
    /// How many lines it may have.
    pub lines: usize,
}

/// The opening sentence, and lines that are neither too long nor end in blanks.
pub fn text(file: &Path, source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source.text.starts_with("//! ") {
        findings.push(Finding::new(file, 1, "a file opens with a `//!` sentence"));
    }
    for (i, line) in source.text.lines().enumerate() {
        let mut wrong = |message: String| findings.push(Finding::new(file, i + 1, message));
        let columns = line.chars().count();
        if columns > COLUMNS {
            wrong(format!("{columns} columns; at most {COLUMNS}"));
        }
        if line.contains('\t') {
            wrong("a tab character".to_owned());
        }
        if line.ends_with(char::is_whitespace) {
            wrong("white space at the end".to_owned());
        }
    }
    findings
}

/// Nothing unfinished, nothing for debugging, no `unwrap` outside tests, `unsafe` only where the file opens it.
pub fn words(file: &Path, source: &Source, is_test: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for word in ["todo", "dbg", "unimplemented"] {
        let macros = source.words(word).filter(|at| source.code[at + word.len()..].starts_with('!'));
        findings.extend(macros.map(|at| Finding::new(file, source.line_of(at), format!("`{word}!`"))));
    }
    let tests = source.test_parts();
    let unwraps = source.words("unwrap").filter(|at| {
        let call = source.code[..*at].trim_end().ends_with('.') && source.code[at + 6..].starts_with("()");
        call && !is_test && !tests.iter().any(|part| part.contains(at))
    });
    findings.extend(unwraps.map(|at| Finding::new(file, source.line_of(at), "`unwrap()` outside tests")));
    if !opens_unsafe(source) {
        let message = "`unsafe` in a file that doesn't open it by `#![expect(unsafe_code, reason = …)]`";
        findings.extend(source.words("unsafe").map(|at| Finding::new(file, source.line_of(at), message)));
    }
    findings
}

fn opens_unsafe(source: &Source) -> bool {
    let attributes = source.code.match_indices("#![").filter_map(|(at, _)| source.code[at..].split_once(']'));
    attributes.into_iter().any(|(attribute, _)| {
        let attribute: String = attribute.split_whitespace().collect();
        attribute.starts_with("#![expect(unsafe_code")
            || (attribute.starts_with("#![cfg_attr(") && attribute.contains("expect(unsafe_code"))
    })
}

/// Files and functions within their limits, or within what `outliers` allows them.
pub fn lengths(file: &Path, source: &Source, outliers: &[Outlier]) -> Vec<Finding> {
    let mine: Vec<&Outlier> = outliers.iter().filter(|outlier| file == Path::new(outlier.file)).collect();
    let allowed = |name: Option<&str>, limit: usize| {
        mine.iter().find(|outlier| outlier.function == name).map_or(limit, |outlier| outlier.lines)
    };
    let mut findings = Vec::new();
    let (lines, functions) = (source.text.lines().count(), source.functions());
    let most = allowed(None, FILE_LINES);
    if lines > most {
        findings.push(Finding::new(file, most + 1, format!("the file has {lines} lines; at most {most}")));
    }
    for function in &functions {
        let most = allowed(Some(&function.name), FUNCTION_LINES);
        if function.lines > most {
            let message = format!("function `{}` has {} lines; at most {most}", function.name, function.lines);
            findings.push(Finding::new(file, function.line, message));
        }
    }
    let gone = mine.iter().filter(|outlier| match outlier.function {
        None => lines <= FILE_LINES,
        Some(name) => !functions.iter().any(|found| found.name == name && found.lines > FUNCTION_LINES),
    });
    findings.extend(gone.map(|outlier| {
        let what = outlier.function.unwrap_or("the file");
        Finding::new(file, 1, format!("`{what}` is no outlier any more: take it off the list"))
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_in(text: &str) -> Vec<usize> {
        let source = Source::new(text.to_owned());
        words(Path::new("a.rs"), &source, false).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn finds_forbidden_words_in_code_only() {
        assert_eq!(words_in("// unsafe todo!\nlet a = \"dbg!\";\ntodo!();\nx\n  .unwrap();\nx.unwrap_or(1);"), [3, 5]);
        assert_eq!(words_in("#[cfg(test)]\nmod tests {\n x.unwrap()\n}\nx.unwrap();"), [5]);
        assert_eq!(words_in("unsafe { a }"), [1]);
        let opened = "#![cfg_attr(\n  any(miri),\n  expect(unsafe_code, reason = \"x\")\n)]\nunsafe { a }";
        assert!(words_in(opened).is_empty());
    }

    #[test]
    fn holds_outliers_to_their_length() {
        let source = Source::new(format!("fn long() {{\n{}}}\n", "    a();\n".repeat(80)));
        let outlier = |lines| [Outlier { file: "a.rs", function: Some("long"), lines }];
        let found = |outliers: &[Outlier]| lengths(Path::new("a.rs"), &source, outliers).len();
        assert_eq!((found(&[]), found(&outlier(82)), found(&outlier(81))), (1, 0, 1));
        let short = Source::new("fn long() {}\n".to_owned());
        assert_eq!(lengths(Path::new("a.rs"), &short, &outlier(82)).len(), 1);
    }
}
