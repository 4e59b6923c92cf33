//! Source rules over the whole workspace: sizes, words that don't belong, white space, links.

use flinkrs_tests::rules::Outlier;
use flinkrs_tests::source::Source;
use flinkrs_tests::{Finding, assert_none, files, markdown, rules};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What was over a limit when the rule came. Entries shrink and go; none is added.
const OUTLIERS: &[Outlier] = &[];

fn sources() -> Vec<(PathBuf, Source)> {
    files::rust().into_iter().map(|file| (file.clone(), Source::new(files::read(&file)))).collect()
}

/// Collects what `rule` finds in every file.
fn in_all(rule: impl Fn(&Path, &Source) -> Vec<Finding>) -> Vec<Finding> {
    sources().iter().flat_map(|(file, source)| rule(file, source)).collect()
}

#[test]
fn files_open_with_a_sentence_and_lines_are_clean() {
    assert_none(&in_all(rules::text));
}

#[test]
fn files_and_functions_are_short() {
    let mut findings = in_all(|file, source| rules::lengths(file, source, OUTLIERS));
    let missing = OUTLIERS.iter().filter(|outlier| !files::root().join(outlier.file).exists());
    findings.extend(
        missing.map(|outlier| {
            Finding::new(Path::new(outlier.file), 1, "the file is gone: take it off the list of outliers")
        }),
    );
    assert_none(&findings);
}

#[test]
fn no_word_is_out_of_place() {
    let sources = sources();
    let tests = test_files(&sources);
    let is_test = |file: &Path| {
        let folder = file.components().any(|part| part.as_os_str() == "tests");
        folder || tests.iter().any(|test| file.starts_with(test) || file == test.with_extension("rs"))
    };
    let findings = sources.iter().flat_map(|(file, source)| rules::words(file, source, is_test(file)));
    assert_none(&findings.collect::<Vec<_>>());
}

/// The modules, as paths without extension, that a `#[cfg(test)]` brings in.
fn test_files(sources: &[(PathBuf, Source)]) -> BTreeSet<PathBuf> {
    let mut modules = BTreeSet::new();
    for (file, source) in sources {
        let opens_folder = ["lib.rs", "main.rs", "mod.rs"].iter().any(|name| file.ends_with(name));
        let folder = if opens_folder { file.with_file_name("") } else { file.with_extension("") };
        modules.extend(source.test_modules().into_iter().map(|module| folder.join(module)));
    }
    modules
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut findings = Vec::new();
    for file in files::with_extension("md") {
        for (line, target) in markdown::links(&files::read(&file)) {
            let Some(linked) = markdown::linked_file(&file, &target) else { continue };
            if !files::root().join(linked).exists() {
                findings.push(Finding::new(&file, line, format!("the link to `{target}` is broken")));
            }
        }
    }
    assert_none(&findings);
}
