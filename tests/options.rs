//! Every option that is declared is read: one that nobody reads would be accepted and do nothing.

use flinkrs_tests::source::Source;
use flinkrs_tests::{Finding, assert_none, files};
use std::path::{Path, PathBuf};

/// Where options are declared.
const DECLARATIONS: &str = "core/src/config";

/// A declared option.
#[derive(Debug, PartialEq)]
struct Declared {
    line: usize,
    name: String,
    key: String,
}

/// The options that a file declares: lines of the form `NAME: Type = "key", "default";`.
fn declared(source: &Source) -> Vec<Declared> {
    let of = |(at, line): (usize, &str)| {
        let (name, rest) = line.trim().split_once(": ")?;
        let (_, rest) = rest.split_once(" = \"")?;
        let (key, _) = rest.split_once("\", \"")?;
        let is_constant = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_constant.then(|| Declared { line: at + 1, name: name.to_owned(), key: key.to_owned() })
    };
    source.text.lines().enumerate().filter_map(of).collect()
}

/// Whether a file hands the option to somebody: `module::NAME`, in code that isn't compiled for tests only.
fn reads(source: &Source, module: &str, name: &str) -> bool {
    let tests = source.test_parts();
    let path = format!("{module}::{name}");
    // Who reads a default doesn't hear what is set.
    let of_default = |at: usize| {
        let line = source.code[..at].rfind('\n').map_or(0, |end| end + 1);
        source.code[line..at].contains("Configuration::default()")
    };
    source.words(&path).any(|at| !of_default(at) && !tests.iter().any(|part| part.contains(&at)))
}

fn is_product(file: &Path) -> bool {
    let part = |name: &str| file.components().any(|part| part.as_os_str() == name);
    !file.starts_with(DECLARATIONS) && !part("tests") && !part("fuzz")
}

#[test]
fn every_option_has_a_reader() {
    let sources: Vec<(PathBuf, Source)> =
        files::rust().into_iter().map(|file| (file.clone(), Source::new(files::read(&file)))).collect();
    let (mut findings, mut count) = (Vec::new(), 0);
    for (file, source) in sources.iter().filter(|(file, _)| file.starts_with(DECLARATIONS)) {
        let module = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for option in declared(source) {
            count += 1;
            let is_read = sources.iter().any(|(file, source)| is_product(file) && reads(source, &module, &option.name));
            if !is_read {
                findings.push(Finding::new(file, option.line, format!("{} is read by no code", option.key)));
            }
        }
    }
    assert!(count > 40, "only {count} options were found");
    assert_none(&findings);
}

#[test]
fn a_declaration_and_its_reader_are_recognised() {
    let source =
        Source::new("options! {\n    /// Doc.\n    RPC_PORT: u16 = \"jobmanager.rpc.port\", \"6123\";\n}\n".into());
    let (name, key) = ("RPC_PORT".to_owned(), "jobmanager.rpc.port".to_owned());
    assert_eq!(declared(&source), [Declared { line: 3, name, key }]);
    let reads = |text: &str| reads(&Source::new(text.to_owned()), "jobmanager", "RPC_PORT");
    assert!(reads("fn f() { config.get(&jobmanager::RPC_PORT) }"));
    assert!(!reads("// jobmanager::RPC_PORT\nfn f() { other::RPC_PORT; jobmanager::RPC_PORT_MAX }"));
    assert!(!reads("fn f() { Configuration::default().get(&jobmanager::RPC_PORT) }"));
    assert!(!reads("#[cfg(test)]\nmod tests { fn f() { jobmanager::RPC_PORT } }"));
}
