//! What the examples with loops make of inputs that are empty, or stranger than their own.
//!
//! `cargo test -p flinkrs-examples` builds the examples before it; with `--test strange_inputs` they are those that
//! were built last.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with inputs, in which examples run.
struct Place(tempfile::TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Place {
        let place = tempfile::tempdir().expect("a folder");
        files.iter().for_each(|(name, text)| fs::write(place.path().join(name), text).expect("written"));
        Place(place)
    }

    fn run(&self, line: &str) -> Output {
        let mut words = line.split(' ');
        let example = folder().join(words.next().expect("a name"));
        Command::new(example).args(words).current_dir(self.0.path()).output().expect("the examples are built")
    }

    /// The sorted lines that an example writes.
    fn lines(&self, line: &str) -> Vec<String> {
        let output = self.run(&format!("{line} --output out"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        let out = self.0.path().join("out");
        let mut lines = Vec::new();
        for file in files(&out) {
            lines.extend(fs::read_to_string(file).expect("a text").lines().map(str::to_owned));
        }
        lines.sort();
        if out.is_dir() { fs::remove_dir_all(out) } else { fs::remove_file(out) }.expect("removed");
        lines
    }

    /// That an example ends with this code and one error that has these words.
    fn fails(&self, line: &str, code: i32, words: &str) {
        let output = self.run(&format!("{line} --output out"));
        let said = String::from_utf8(output.stderr).expect("a text");
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(output.status.code() == Some(code) && errors.len() == 1 && errors[0].contains(words), "{line}: {said}");
        assert!(!self.0.path().join("out").exists(), "{line}: an output of a job that has failed");
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    match path.is_dir() {
        true => fs::read_dir(path).expect("a folder").map(|entry| entry.expect("a file").path()).collect(),
        false => vec![path.to_owned()],
    }
}

/// Where cargo has put the examples: beside the folder of this test.
fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    test.ancestors().nth(2).expect("cargo's folder").join("examples")
}

const NOTHING: [String; 0] = [];

#[test]
fn nothing_comes_of_nothing() {
    let place = Place::with(&[("nothing", ""), ("links", "1 2\n"), ("lengths", "1 2 3\n"), ("points", "0 0\n")]);
    assert_eq!(place.lines("connected_components --edges nothing"), NOTHING);
    assert_eq!(place.lines("connected_components --edges nothing --bulk"), NOTHING);
    assert_eq!(place.lines("connected_components --edges links --vertices nothing"), NOTHING);
    assert_eq!(place.lines("pagerank --links nothing"), NOTHING);
    assert_eq!(place.lines("pagerank --links links --pages nothing"), NOTHING);
    assert_eq!(place.lines("transitive_closure --edges nothing"), NOTHING);
    assert_eq!(place.lines("sssp --source 7 --edges nothing"), ["7,0.0"]);
    assert_eq!(place.lines("kmeans --points nothing --centroids lengths"), ["1,2.0,3.0"]);
    place.fails("kmeans --points points --centroids nothing", 3, "there are no centroids");
}

#[test]
fn strange_graphs_have_components_and_ranks() {
    // A self loop, parallel edges in both directions, a vertex without edges, and one that nobody knows.
    let files = [("edges", "1 1\n2,3\n3\t2\n2 3\n3 9\n"), ("vertices", "1\n2\n3\n5\n")];
    let place = Place::with(&files);
    for form in ["", " --bulk"] {
        let known = place.lines(&format!("connected_components --edges edges --vertices vertices{form}"));
        assert_eq!(known, ["1,1", "2,2", "3,2", "5,5"]);
        let all = place.lines(&format!("connected_components --edges edges{form}"));
        assert_eq!(all, ["1,1", "2,2", "3,2", "9,2"]);
    }
    let ranks = place.lines("pagerank --links edges --iterations 1");
    // 0.15/4, and 0.85/4 of what comes in: all of 1, half of 3, all of 2, half of 3.
    assert_eq!(ranks, ["1,0.25", "2,0.14375", "3,0.25", "9,0.14375"]);
}

#[test]
fn impossible_inputs_are_refused() {
    let place = Place::with(&[("words", "1 2\none two\n"), ("lengths", "1 2 -3\n"), ("links", "1 2\n")]);
    for example in ["connected_components --edges", "pagerank --links", "transitive_closure --edges"] {
        place.fails(&format!("{example} words"), 3, "words, line 2, column 1: 'one' is not a number");
        place.fails(&format!("{example} missing"), 3, "missing");
        place.fails(&format!("{example} links --iterations 0"), 2, "0");
    }
    place.fails("sssp --source 1 --edges lengths", 1, "the edge from 1 to 2 has the length -3");
}
