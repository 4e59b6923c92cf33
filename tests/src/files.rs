//! The files of the repository: what lies in its folders, without what is built, benchmarked or ignored.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the package lies in the workspace").to_path_buf()
}

/// All files below the root that end in `.extension`, as paths from the root, sorted; hidden folders and those that
/// `.gitignore` lists are left out.
pub fn with_extension(extension: &str) -> Vec<PathBuf> {
    let root = root();
    let ignored = ignored_folders(&root);
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("a folder of the repository is readable");
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            let relative = path.strip_prefix(&root).expect("it lies below the root").to_path_buf();
            if hidden || relative.ends_with("target") || ignored.contains(&relative) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(relative);
            }
        }
    }
    found.sort();
    found
}

/// The Rust files whose style counts: all but the benchmarks, a workspace of their own, and what `protogen` writes.
pub fn rust() -> Vec<PathBuf> {
    let generated = |file: &PathBuf| file.components().any(|part| part.as_os_str() == "generated");
    with_extension("rs").into_iter().filter(|file| !file.starts_with("bench") && !generated(file)).collect()
}

/// The text of a file, given by its path from the root.
pub fn read(file: &Path) -> String {
    let text = fs::read_to_string(root().join(file));
    text.unwrap_or_else(|error| panic!("{} is not readable: {error}", file.display()))
}

fn ignored_folders(root: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix('/'));
    lines.map(|line| PathBuf::from(line.trim_end_matches('/'))).collect()
}
