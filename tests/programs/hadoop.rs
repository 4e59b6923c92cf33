//! Runs the tests' Hadoop by hand: `cargo run -p flinkrs-tests --bin hadoop`, until Enter or Ctrl-C.

#![expect(clippy::print_stdout, reason = "whoever runs it reads where the cluster is")]

use flinkrs_tests::hadoop::{Cluster, Daemon};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cluster = match Cluster::start(&Daemon::ALL, &[]) {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("export HADOOP_CONF_DIR={}", cluster.conf_dir().display());
    println!("# logs and data: {}", cluster.folder().display());
    println!("# Enter ends it");
    let mut line = String::new();
    // However the input ends, so does the cluster.
    let _ = std::io::stdin().read_line(&mut line);
    ExitCode::SUCCESS
}
