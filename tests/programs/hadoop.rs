//! Runs the tests' Hadoop by hand: `cargo run -p flinkrs-tests --bin hadoop`, until Enter or Ctrl-C; with `secured`
//! behind `--` in a Kerberos realm.

#![expect(clippy::print_stdout, reason = "whoever runs it reads where the cluster is")]

use flinkrs_tests::hadoop::kdc::Kdc;
use flinkrs_tests::hadoop::{Cluster, Daemon};
use std::process::ExitCode;

fn main() -> ExitCode {
    let is_secured = std::env::args().nth(1).as_deref() == Some("secured");
    let started = match is_secured {
        true => Kdc::start().and_then(|kdc| Ok((Cluster::start_secured(&Daemon::ALL, &[], kdc.realm())?, Some(kdc)))),
        false => Cluster::start(&Daemon::ALL, &[]).map(|cluster| (cluster, None)),
    };
    let (cluster, kdc) = match started {
        Ok(started) => started,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("export HADOOP_CONF_DIR={}", cluster.conf_dir().display());
    if let Some(realm) = kdc.as_ref().map(Kdc::realm) {
        println!("export KRB5_CONFIG={}", realm.config().display());
        println!("kinit -kt {} ann", realm.keytab("ann").display());
    }
    println!("# logs and data: {}", cluster.folder().display());
    println!("# Enter ends it");
    let mut line = String::new();
    // However the input ends, so does the cluster.
    let _ = std::io::stdin().read_line(&mut line);
    ExitCode::SUCCESS
}
