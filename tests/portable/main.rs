//! The recipe for programs that run everywhere: built for musl, a program needs no GLIBC, and runs on a cluster.
//!
//! Needs the target and a C compiler for it: `rustup target add x86_64-unknown-linux-musl`, and the package musl-tools.

#[path = "../cluster/harness.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod harness;

use flinkrs_rpc::program::Program;
use harness::{Cluster, finish, text};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const TARGET: &str = "x86_64-unknown-linux-musl";

/// Builds an example. Link time optimization drops what it may: the note is still there.
fn build(example: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("portable");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "flinkrs-examples", "--example", example, "--target", TARGET]);
    command.args(["--config", "profile.dev.opt-level=0", "--config", "profile.dev.lto='fat'"]);
    let status = command.arg("--target-dir").arg(&folder).current_dir(flinkrs_tests::files::root()).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the example can't be built; `rustup target add {TARGET}` and the package musl-tools are needed"
    );
    folder.join(TARGET).join("debug/examples").join(example)
}

#[test]
fn a_program_for_musl_needs_no_glibc_and_runs_on_a_cluster() {
    let path = build("wordcount");
    let program = Program::read(&path, "wordcount").expect("is a program");
    assert_eq!(program.note.target, TARGET);
    assert_eq!((program.interpreter, program.glibc), (None, None), "it carries its C library");
    let run = Command::new(&path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let alone = finish(run.expect("starts"));
    assert!(alone.status.success(), "{}", text(&alone.stderr));
    let cluster = Cluster::start(2);
    let output = cluster.run_file(&path, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let sorted = |bytes: &[u8]| {
        let mut lines: Vec<String> = text(bytes).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&output.stdout), sorted(&alone.stdout));
    assert!(!output.stdout.is_empty());
    cluster.assert_stopped_without_a_trace(&[]);
}
