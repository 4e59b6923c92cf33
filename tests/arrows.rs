//! The workspace's real dependencies against the arrows table of `ARCHITECTURE.md`.

use flinkrs_tests::{files, markdown};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const PAGE: &str = "ARCHITECTURE.md";

/// By crate, which crates of the workspace it may use; crates are named by their folders.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// What the table allows.
fn allowed() -> Arrows {
    let text = files::read(Path::new(PAGE));
    let rows = markdown::table(&text, &["crate", "may depend on"]);
    let rows = rows.unwrap_or_else(|| panic!("{PAGE} has no table `| crate | may depend on |`"));
    let plain = |cell: &str| cell.replace('`', "").trim().to_owned();
    let names = |cell: &String| cell.split(',').map(plain).filter(|name| !name.is_empty() && name != "–").collect();
    rows.iter().map(|row| (plain(&row[0]), row.get(1).map(names).unwrap_or_default())).collect()
}

/// What the manifests say; dependencies of tests only are left out.
fn real() -> Arrows {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(files::root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("the workspace has packages");
    packages.iter().map(|package| (folder(&package["manifest_path"]), dependencies(package))).collect()
}

fn dependencies(package: &Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().expect("a package lists its dependencies");
    let normal = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
    let inside = normal.filter_map(|dependency| dependency["path"].as_str());
    inside.filter_map(|path| Path::new(path).strip_prefix(files::root()).ok()).map(name).collect()
}

/// The folder of a manifest, from the root.
fn folder(manifest: &Value) -> String {
    let manifest = Path::new(manifest.as_str().expect("a package has a manifest"));
    let root = files::root();
    name(manifest.strip_prefix(&root).unwrap_or(manifest).parent().unwrap_or(manifest))
}

fn name(folder: &Path) -> String {
    folder.display().to_string()
}

#[test]
fn crates_depend_only_on_what_the_table_allows() {
    let allowed = allowed();
    let real = real();
    assert!(real.values().any(|targets| targets.contains("core")), "no dependencies were found: {real:?}");
    let mut wrong = Vec::new();
    for (from, targets) in real {
        let Some(arrows) = allowed.get(&from) else {
            wrong.push(format!("{from}/Cargo.toml: the crate is missing in the table of {PAGE}"));
            continue;
        };
        for to in targets.difference(arrows) {
            wrong.push(format!("{from}/Cargo.toml: depends on `{to}`, which the table of {PAGE} doesn't allow"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn allowed_arrows_make_no_circle() {
    let mut open = allowed();
    while !open.is_empty() {
        let leaves: Vec<String> = open
            .iter()
            .filter(|(_, targets)| targets.iter().all(|target| !open.contains_key(target)))
            .map(|(name, _)| name.clone())
            .collect();
        assert!(!leaves.is_empty(), "a circle among {:?}", open.keys());
        leaves.iter().for_each(|leaf| drop(open.remove(leaf)));
    }
}
