//! Options: files, command lines, what is refused and how, and the reference page.

use flinkrs_core::config::{
    Configuration, Factor, Fraction, PortRange, Secret, components, execution, find_file, heartbeat, is_of_processes,
    jobmanager, observation, reference_page, rest, restart, security, taskmanager,
};
use flinkrs_core::resource::ByteSize;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nothing from the command line.
const NONE: &[&str] = &[];

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("flinkrs.toml");
    fs::write(&path, text).expect("writes the file of the test");
    (folder, path)
}

fn load(text: &str, overrides: &[&str]) -> Configuration {
    let (_folder, path) = file(text);
    Configuration::load(Some(&path), overrides).expect("a configuration")
}

/// What a file is refused with, without its folder.
fn refused(text: &str) -> String {
    let (folder, path) = file(text);
    let error = Configuration::load(Some(&path), NONE).expect_err(text);
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

fn refused_option(text: &str) -> String {
    Configuration::load(None, &[text]).expect_err(text).to_string()
}

#[test]
fn each_option_is_declared_once_with_a_default_that_it_can_have() {
    let mut keys = BTreeSet::new();
    for option in components().iter().flat_map(|component| component.options) {
        assert!(keys.insert(option.key()), "{} is declared twice", option.key());
        assert!(option.accepts(option.default()), "{} can't have its default", option.key());
        assert!(option.doc().ends_with('.') && !option.allowed().is_empty(), "{}", option.key());
    }
    assert!(keys.len() > 40, "{keys:?}");
    Configuration::load(None, NONE).expect("the defaults fit together");
}

/// `FLINKRS_BLESS=1` rewrites it.
#[test]
fn the_reference_page_is_that_of_the_declarations() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = reference_page();
    if std::env::var_os("FLINKRS_BLESS").is_some() {
        fs::write(&path, page).expect("the page can be written");
        return;
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/configuration.md differs from the declarations; run with FLINKRS_BLESS=1");
}

#[test]
fn the_example_of_the_page_is_read() {
    let page = reference_page();
    let example = page.split("```").nth(1).and_then(|block| block.strip_prefix("toml")).expect("an example");
    let config = load(example, NONE);
    assert_eq!(config.get(&rest::PORT), 8082);
    assert_eq!(config.get(&taskmanager::SLOTS).map(u32::from), Some(4));
    assert_eq!(config.get(&taskmanager::PROCESS_MEMORY), Some(ByteSize(8 << 30)));
}

#[test]
fn sections_dotted_and_quoted_keys_are_the_same_and_the_command_line_counts_more() {
    let section = "[heartbeat]\ninterval = \"500 ms\"\ntimeout = 4000\n[restart-strategy]\ntype = \"none\"\n";
    let dotted = "heartbeat.interval = \"500ms\"\nheartbeat.timeout = \"4 s\"\nrestart-strategy.type = 'none'\n";
    let quoted = "\"heartbeat.interval\" = 500\n\"heartbeat.timeout\" = \"4s\"\n\"restart-strategy.type\" = \"none\"\n";
    for text in [section, dotted, quoted] {
        let config = load(text, NONE);
        assert_eq!(config.get(&heartbeat::INTERVAL), Duration::from_millis(500));
        assert_eq!(config.get(&heartbeat::TIMEOUT), Duration::from_secs(4));
        assert_eq!(config.get(&restart::STRATEGY), restart::RestartStrategy::None);
        let config = load(text, &["heartbeat.timeout = 1 min", "heartbeat.timeout=2 min"]);
        assert_eq!(config.get(&heartbeat::TIMEOUT), Duration::from_secs(120));
        assert_eq!(config.get(&heartbeat::INTERVAL), Duration::from_millis(500));
    }
}

#[test]
fn each_type_is_read() {
    let text = "
        jobmanager.rpc.port = 0x17eb
        cluster.evenly-spread-out-slots = true
        taskmanager.memory.managed.fraction = 0.25
        taskmanager.memory.network.max = \"2gb\"
        taskmanager.memory.network.min = 1048576
        io.tmp.dirs = [\"/a\", \"/b c\"]
        restart-strategy.exponential-delay.backoff-multiplier = 2
        execution.batch-shuffle-mode = \"ALL_EXCHANGES_BLOCKING\"
        high-availability.storageDir = \"\"
        metrics.reporter.prom.port = 9249";
    let config = load(text, &["taskmanager.host=node-7", "env.log.dir=/var/log=1"]);
    assert_eq!(config.get(&jobmanager::RPC_PORT), 6123);
    assert!(config.get(&jobmanager::EVENLY_SPREAD_OUT_SLOTS));
    assert_eq!(config.get(&taskmanager::MANAGED_FRACTION), Fraction(0.25));
    assert_eq!(config.get(&taskmanager::NETWORK_MEMORY_MAX), ByteSize(2 << 30));
    assert_eq!(config.get(&taskmanager::NETWORK_MEMORY_MIN), ByteSize(1 << 20));
    assert_eq!(config.get(&taskmanager::TMP_DIRS), Some(vec!["/a".into(), "/b c".into()]));
    assert_eq!(config.get(&restart::BACKOFF_MULTIPLIER), Factor(2.0));
    assert_eq!(config.get(&execution::BATCH_SHUFFLE_MODE), execution::BatchShuffleMode::Blocking);
    assert_eq!(config.get(&jobmanager::HA_STORAGE_DIR), None);
    assert_eq!(config.get(&observation::PROMETHEUS_PORT), Some(PortRange { first: 9249, last: 9249 }));
    assert_eq!(config.get(&taskmanager::HOST).as_deref(), Some("node-7"));
    assert_eq!(config.get(&observation::LOG_DIR), Some(PathBuf::from("/var/log=1")));
    assert_eq!(config.get(&security::CLUSTER_SECRET_FILE), None);

    // Another process gets the same.
    let arguments: Vec<String> = config.settings().map(|(key, text)| format!("{key}={text}")).collect();
    let other = Configuration::load(None, &arguments).expect("a configuration");
    assert!(other.settings().eq(config.settings()) && other.settings().count() == 12);
}

#[test]
fn an_unknown_key_names_its_nearest_neighbour() {
    assert_eq!(
        refused("rest.port = 1\n\n[heartbeat]\ntimout = 5\n"),
        "flinkrs.toml, line 4: there is no option 'heartbeat.timout'; did you mean 'heartbeat.timeout'?"
    );
    assert_eq!(
        refused_option("taskmanager.numberoftaskslots=3"),
        "option -D: there is no option 'taskmanager.numberoftaskslots'; did you mean 'taskmanager.numberOfTaskSlots'?"
    );
    let below = "flinkrs.toml, line 2: there is no option 'rest.port.x'; did you mean 'rest.port'?";
    assert_eq!(refused("[rest.port]\nx = 1"), below);
    assert!(refused_option(&format!("{}=1", "x".repeat(1 << 20))).contains("did you mean"));
}

#[test]
fn a_wrong_value_says_where_it_is_and_what_is_allowed() {
    assert_eq!(
        refused("[heartbeat]\n# soon\ntimeout = \"soon\""),
        "flinkrs.toml, line 3: heartbeat.timeout is 'soon'; it has to be a duration such as 500 ms, 5 s or 2 min"
    );
    for (setting, allowed) in [
        ("rest.port=65536", "a port from 0 (any that is free) to 65535"),
        ("rest.port=-1", "a port from 0 (any that is free) to 65535"),
        ("rest.address=", "text"),
        ("taskmanager.numberOfTaskSlots=0", "a whole number from 1 to 4294967295"),
        ("restart-strategy.fixed-delay.attempts=many", "a whole number from 0 to 4294967295"),
        ("taskmanager.memory.managed.fraction=1.5", "a number from 0 to 1"),
        ("taskmanager.memory.managed.fraction=NaN", "a number from 0 to 1"),
        ("restart-strategy.exponential-delay.backoff-multiplier=0.5", "a number from 1"),
        ("restart-strategy.exponential-delay.backoff-multiplier=inf", "a number from 1"),
        ("cluster.evenly-spread-out-slots=yes", "true or false"),
        ("taskmanager.memory.process.size=much", "a size such as 512mb or 4gb"),
        ("io.tmp.dirs=/a,,/b", "one or more paths with commas between them"),
        ("restart-strategy.type=always", "one of none, fixed-delay, failure-rate, exponential-delay"),
        ("heartbeat.interval=5 weeks", "a duration such as 500 ms, 5 s or 2 min"),
        ("heartbeat.interval=1.5 s", "a duration such as 500 ms, 5 s or 2 min"),
        ("heartbeat.interval=99999999999999999999 d", "a duration such as 500 ms, 5 s or 2 min"),
        ("heartbeat.interval=9999999999999999999 d", "a duration such as 500 ms, 5 s or 2 min"),
    ] {
        let (key, value) = setting.split_once('=').expect("a setting");
        assert_eq!(refused_option(setting), format!("option -D: {key} is '{value}'; it has to be {allowed}"));
    }
    assert_eq!(refused_option("rest.port"), "option -D: 'rest.port' has no value; it has to be KEY=VALUE");
}

#[test]
fn a_file_that_is_none_says_why() {
    assert_eq!(refused("rest.port = 1\nrest.address =\n").split(':').next(), Some("flinkrs.toml, line 2"));
    let twice = refused("rest.port = 1\n\"rest.port\" = 2\n");
    assert_eq!(twice, "flinkrs.toml, line 2: rest.port is set a second time");
    let date = "flinkrs.toml, line 1: rest.port has to be text, a number, true, false or a list of them";
    assert_eq!(refused("rest.port = 1979-05-27"), date);
    assert!(refused(&"#".repeat(2 << 20)).ends_with("2097152 bytes; at most 1048576 are read"));
    let missing = Configuration::load(Some(Path::new("/nowhere/flinkrs.toml")), NONE).expect_err("no file");
    assert!(missing.to_string().starts_with("cannot read /nowhere/flinkrs.toml: "), "{missing}");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let message = "heartbeat.interval (10 s) may not be more than heartbeat.timeout (5 s)";
    assert_eq!(refused_option("heartbeat.interval=10 s"), message);
    assert!(refused_option("taskmanager.memory.network.min=4gb").contains("taskmanager.memory.network.max (1gb)"));
    assert!(refused_option("restart-strategy.exponential-delay.max-backoff=1").contains("initial-backoff (1 s)"));
    Configuration::load(None, &["heartbeat.interval=10 s", "heartbeat.timeout=30 s"]).expect("they fit");
}

#[test]
fn the_file_is_the_one_that_was_named() {
    let (given, folder) = (Path::new("x.toml"), Path::new("conf"));
    assert_eq!(find_file(Some(given), Some(folder)).as_deref(), Some(given));
    assert_eq!(find_file(None, Some(folder)), Some(PathBuf::from("conf/flinkrs.toml")));
    assert_eq!(find_file(None, None), None, "the crate's folder has none");
}

#[test]
fn secrets_are_read_compared_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("secret");
    let write = |text: &str, mode: u32| {
        fs::write(&path, text).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changes the mode");
    };
    write("0123456789abcdef\n", 0o600);
    let secret = Secret::read(&path).expect("a secret");
    assert_eq!(secret.expose(), b"0123456789abcdef");
    assert!(secret.is(b"0123456789abcdef"));
    for other in [&b"0123456789abcdeF"[..], b"", b"0123456789abcde", b"0123456789abcdef0"] {
        assert!(!secret.is(other));
    }
    assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(…) Some(Secret(…))");

    let refused = || Secret::read(&path).expect_err("no secret").to_string();
    write("0123456789abcdef", 0o640);
    let advice = format!("(mode 640); `chmod 600 {}` changes that", path.display());
    assert!(refused().ends_with(&advice), "{}", refused());
    for text in ["short", &"x".repeat(5000)] {
        write(text, 0o600);
        assert!(refused().contains("has to have 16 to 4096 bytes") && !refused().contains(text), "{}", refused());
    }
}

#[test]
fn a_job_has_options_of_its_own_and_the_rest_of_the_cluster() {
    let client = load("slot.request.timeout = \"2 s\"\n", &["restart-strategy.type=none", "heartbeat.interval=1s"]);
    let settings = client.job_settings();
    assert_eq!(settings.keys().collect::<Vec<_>>(), ["restart-strategy.type", "slot.request.timeout"]);
    let cluster = load("", &["slot.request.timeout=9s", "heartbeat.interval=3s"]);
    let of_job = cluster.with(&settings).expect("options that are right");
    assert_eq!(of_job.get(&jobmanager::SLOT_REQUEST_TIMEOUT), Duration::from_secs(2));
    assert_eq!(of_job.get(&restart::STRATEGY), restart::RestartStrategy::None);
    assert_eq!(of_job.get(&heartbeat::INTERVAL), Duration::from_secs(3));
    let wrong = [("restart-strategy.type".to_owned(), "sometimes".to_owned())];
    let error = cluster.with(&wrong.into()).expect_err("no strategy");
    assert!(error.to_string().starts_with("option -D: restart-strategy.type is 'sometimes'"), "{error}");
}

#[test]
fn options_that_come_too_late_are_known() {
    let late = ["heartbeat.timeout", "taskmanager.numberOfTaskSlots", "jobstore.max-capacity", "env.log.dir"];
    assert!(late.iter().all(|key| is_of_processes(key)));
    let in_time = ["restart-strategy.type", "slot.request.timeout", "jobmanager.rpc.port", "execution.attached"];
    assert!(!in_time.iter().any(|key| is_of_processes(key)));
}
