//! Clusters whose processes prove themselves by certificates: everything works, and strangers are sent away.

use crate::faults::{assert_failed, flinkrs};
use crate::harness::{Cluster, PROGRAM, assert_same, embedded, text, wait_until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Files in PEM of an authority and of a process.
struct Files {
    folder: TempDir,
    key: String,
}

impl Files {
    /// A process's certificate is valid until the first day of a year.
    fn new(until: i32) -> Files {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &authority).expect("signs");
        let files = Files { folder: tempfile::tempdir().expect("a folder"), key: key.serialize_pem() };
        fs::write(files.truststore(), authority.pem()).expect("writes");
        fs::write(files.keystore(), format!("{}{}", certificate.pem(), files.key)).expect("writes");
        fs::set_permissions(files.keystore(), fs::Permissions::from_mode(0o600)).expect("sets");
        files
    }

    fn keystore(&self) -> PathBuf {
        self.folder.path().join("keystore.pem")
    }

    fn truststore(&self) -> PathBuf {
        self.folder.path().join("truststore.pem")
    }

    /// Options that encrypt RPC and the exchange, or REST.
    fn options(&self, of: &str) -> Vec<String> {
        let option = |name: &str, value: &str| format!("security.ssl.{of}.{name}={value}");
        vec![
            option("enabled", "true"),
            option("keystore", &self.keystore().display().to_string()),
            option("truststore", &self.truststore().display().to_string()),
        ]
    }

    /// The same as arguments.
    fn arguments(&self) -> Vec<String> {
        self.options("internal").iter().map(|option| format!("-D{option}")).collect()
    }

    /// A client that trusts the authority, with the certificate of `own`, if that is wanted.
    fn client(&self, own: Option<&Files>, address: &str) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.truststore()).expect("is one")).expect("is one");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("knows the version")
            .with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some(own) => {
                let chain = vec![CertificateDer::from_pem_file(own.keystore()).expect("is one")];
                let key = PrivateKeyDer::from_pem_file(own.keystore()).expect("is one");
                config.with_client_auth_cert(chain, key).expect("fits")
            }
        };
        let name = ServerName::try_from("localhost").expect("is a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("begins");
        StreamOwned::new(connection, connect(address))
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("sets");
    stream
}

fn get(mut stream: impl Read + Write) -> Result<String, std::io::Error> {
    stream.write_all(b"GET /overview HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(text(&answer))
}

/// What a stranger without TLS is told: nothing that it could use.
fn knock(address: &str) -> Vec<u8> {
    let mut stream = connect(address);
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("is sent");
    let mut answer = Vec::new();
    // The other side may hang up in the middle.
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn strs(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

fn rest_of(cluster: &Cluster) -> String {
    let log = fs::read_to_string(cluster.path().join("jobmanager.log")).expect("reads");
    let line = log.lines().find_map(|line| line.split_once("REST listens on https://0.0.0.0:"));
    format!("127.0.0.1:{}", line.map(|(_, port)| port).expect("it says where, and that it is encrypted"))
}

#[test]
fn a_cluster_with_certificates_needs_no_secret_and_knows_its_own() {
    let (files, stranger) = (Files::new(4000), Files::new(4000));
    let port = TcpListener::bind("127.0.0.1:0").and_then(|held| held.local_addr()).expect("a port").port();
    let mut options = [files.options("internal"), files.options("rest")].concat();
    options.push("security.ssl.rest.authentication-enabled=true".to_owned());
    options.extend(["jobmanager.bind-host=0.0.0.0", "rest.bind-address=0.0.0.0"].map(str::to_owned));
    options.push(format!("taskmanager.data.port={port}"));
    let cluster = Cluster::secured(1, &strs(&options));
    let rest = rest_of(&cluster);
    let data = format!("127.0.0.1:{port}");
    let rpc = cluster.address.replace("0.0.0.0", "127.0.0.1");
    for address in [&rpc, &rest, &data] {
        let answer = knock(address);
        assert!(!text(&answer).contains("HTTP") && answer.len() < 64, "{address}: {answer:?}");
        get(files.client(None, address)).expect_err("no certificate");
        get(files.client(Some(&stranger), address)).expect_err("a certificate of another authority");
    }
    let answer = get(files.client(Some(&files), &rest)).expect("is answered");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"slots-total\":1"), "{answer}");
    let run = |options: &[String]| flinkrs(&[&["run", "-m", &rpc][..], &strs(options), &[PROGRAM, "sums"]].concat());
    assert_failed(&run(&[]), 4, &[&rpc, "it may demand certificates"]);
    assert_failed(&run(&stranger.arguments()), 2, &[&rpc, "don't trust each other"]);
    let output = cluster.run(&[], &["sums"]);
    assert_same(&text(&output.stdout), &text(&embedded(&["sums"])), &text(&output.stderr));
    let logs = ["jobmanager", "taskexecutor-0"].map(|name| cluster.path().join(format!("{name}.log")));
    let logs = logs.map(|log| fs::read_to_string(log).expect("reads"));
    for (log, what) in logs.iter().zip([["RPC: refused a connection", "REST: refused a connection"], ["exchange: "; 2]])
    {
        assert!(what.iter().all(|what| log.contains(what)), "{what:?}: {log}");
        let secret = files.key.lines().nth(1).expect("a line of the key");
        assert!(!log.contains(secret) && !log.contains("PRIVATE"), "{log}");
    }
    cluster.assert_stopped_without_a_trace(&[]);
}

#[test]
fn records_between_processes_are_encrypted_and_the_same() {
    let files = Files::new(4000);
    let cluster = Cluster::secured(2, &strs(&files.options("internal")));
    let blocking = ["-Dexecution.batch-shuffle-mode=ALL_EXCHANGES_BLOCKING"];
    for case in [&["sums"][..], &["sort"], &["components", "--records", "2000"], &["ranks", "--records", "500"]] {
        let expected = text(&embedded(case));
        for options in [&[][..], &blocking] {
            let output = cluster.run(options, case);
            assert!(output.status.success(), "{case:?}: {}", text(&output.stderr));
            assert_same(&text(&output.stdout), &expected, &format!("{case:?} with {options:?}"));
        }
    }
    cluster.assert_stopped_without_a_trace(&[]);
}

#[test]
fn a_lost_process_is_as_lost_with_certificates() {
    let files = Files::new(4000);
    let mut options = files.options("internal");
    options.push("restart-strategy.fixed-delay.delay=100ms".to_owned());
    let cluster = Cluster::secured(2, &strs(&options));
    let job = cluster.begin(&[], &["sums", "--slow", "30"]);
    let job = std::thread::spawn(move || crate::harness::finish(job));
    cluster.kill_a_worker(0, || job.is_finished());
    let output = job.join().expect("no panic");
    assert_same(&text(&output.stdout), &text(&embedded(&["sums"])), &text(&output.stderr));
}

#[test]
fn files_that_do_not_fit_are_named_by_their_options() {
    let (files, expired) = (Files::new(4000), Files::new(2001));
    let missing = ["-Dsecurity.ssl.internal.enabled=true"];
    let words = ["security.ssl.internal.enabled is true", "security.ssl.internal.keystore isn't set"];
    for process in ["jobmanager", "taskexecutor", "list"] {
        assert_failed(&flinkrs(&[&[process][..], &missing].concat()), 2, &words);
        let arguments = expired.arguments();
        let output = flinkrs(&[&[process][..], &strs(&arguments)].concat());
        assert_failed(&output, 2, &["keystore.pem (option security.ssl.internal.keystore) has expired"]);
    }
    let mut arguments = files.arguments();
    arguments[2] = format!("-Dsecurity.ssl.internal.truststore={}", expired.truststore().display());
    let output = flinkrs(&[&["taskexecutor"][..], &strs(&arguments)].concat());
    assert_failed(&output, 2, &["is signed by no authority in", "(option security.ssl.internal.truststore)"]);
    let alone = ["jobmanager", "-Dsecurity.ssl.rest.authentication-enabled=true"];
    assert_failed(&flinkrs(&alone), 2, &["security.ssl.rest.enabled isn't"]);
}

/// A TaskExecutor of another authority is no part of the cluster, and ends with that.
#[test]
fn a_taskexecutor_of_another_authority_ends() {
    let (files, stranger) = (Files::new(4000), Files::new(4000));
    let cluster = Cluster::secured(1, &strs(&files.options("internal")));
    let arguments = stranger.arguments();
    let output = flinkrs(&[&["taskexecutor", "-m", &cluster.address][..], &strs(&arguments)].concat());
    assert_failed(&output, 2, &["don't trust each other"]);
    wait_until("the JobManager has said so", || {
        let log = fs::read_to_string(cluster.path().join("jobmanager.log")).expect("reads");
        log.contains("RPC: refused a connection from 127.0.0.1")
    });
    assert_eq!(text(&cluster.flinkrs("cluster", &["status"]).stdout).matches("1 slots").count(), 1);
}
