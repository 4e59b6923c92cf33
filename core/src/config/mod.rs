//! The options of a cluster and of its clients: each declared once, with its type, default and meaning.
//!
//! A [`Configuration`] is read when a process starts, from `flinkrs.toml` and `-D KEY=VALUE`, and passed on; there is
//! no global one. All values are checked then, so that reading one later can't fail. The keys are Flink's where Flink
//! has the option; `docs/configuration.md` is written from the declarations.
//!
//! ```
//! use flinkrs_core::config::{Configuration, rest};
//!
//! let config = Configuration::load(None, &["rest.port=8082"])?;
//! assert_eq!(config.get(&rest::PORT), 8082);
//! let error = Configuration::load(None, &["rest.prot=8082"]).unwrap_err();
//! assert_eq!(error.to_string(), "option -D: there is no option 'rest.prot'; did you mean 'rest.port'?");
//! # Ok::<(), flinkrs_core::Error>(())
//! ```

mod file;
mod nearest;
mod option;
mod page;
mod secret;
mod value;

pub mod execution;
pub mod files;
pub mod heartbeat;
pub mod jobmanager;
pub mod observation;
pub mod rest;
pub mod restart;
pub mod security;
pub mod taskmanager;
pub mod yarn;

pub use file::{FILE_NAME, find_file};
pub use option::{ConfigOption, Declaration};
pub use page::reference_page;
pub use secret::Secret;
pub use value::{ConfigValue, Factor, Fraction, PortRange};

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The options of one part of the system.
#[derive(Clone, Copy)]
pub struct Component {
    /// What the reference page calls it.
    pub title: &'static str,
    /// Its options, in the order of the page.
    pub options: &'static [&'static dyn Declaration],
}

/// All options there are.
pub fn components() -> [Component; 10] {
    let component = |title, options| Component { title, options };
    [
        component("JobManager", jobmanager::ALL),
        component("TaskExecutor", taskmanager::ALL),
        component("REST", rest::ALL),
        component("Execution", execution::ALL),
        component("YARN", yarn::ALL),
        component("Files", files::ALL),
        component("Heartbeats", heartbeat::ALL),
        component("Restart strategies", restart::ALL),
        component("Security", security::ALL),
        component("Logs and metrics", observation::ALL),
    ]
}

/// The options that a job may have values of its own for; the cluster's count where it has none.
fn of_jobs() -> impl Iterator<Item = &'static dyn Declaration> {
    let others: [&dyn Declaration; 2] =
        [&jobmanager::SLOT_REQUEST_TIMEOUT, &execution::PREVIOUS_WORKER_RECOVERY_TIMEOUT];
    restart::ALL.iter().copied().chain(others)
}

/// Whether an option is read only by the processes of a cluster, when they start: who submits a job comes too late.
pub fn is_of_processes(key: &str) -> bool {
    let clients: [&dyn Declaration; 2] = [&jobmanager::RPC_ADDRESS, &jobmanager::RPC_PORT];
    let all = [jobmanager::ALL, taskmanager::ALL, heartbeat::ALL, observation::ALL];
    let is = |option: &dyn Declaration| option.key() == key;
    all.into_iter().flatten().any(|option| is(*option)) && !clients.into_iter().chain(of_jobs()).any(is)
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    File(PathBuf, usize),
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Origin::CommandLine => f.write_str("option -D"),
        }
    }
}

/// A key and the text of its value, as they stand in a file or on the command line.
struct Setting {
    key: String,
    text: String,
    origin: Origin,
}

/// The values of all options; those that nobody has set have their defaults. Holds no secrets, only where they lie.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    set: BTreeMap<&'static str, String>,
}

impl Configuration {
    /// Reads the file, if there is one, and then the `KEY=VALUE` of the command line, of which the last counts.
    ///
    /// Errors when the file can't be read, at the first key that is no option, the first value that the option can't
    /// have, and at options that contradict each other.
    pub fn load<S: AsRef<str>>(file: Option<&Path>, overrides: &[S]) -> Result<Configuration> {
        let mut config = Configuration::default();
        for setting in file.map(file::settings).transpose()?.unwrap_or_default() {
            config.set(setting)?;
        }
        for text in overrides {
            let text = text.as_ref();
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| Error::usage(format!("option -D: '{text}' has no value; it has to be KEY=VALUE")))?;
            let (key, text) = (key.trim().to_owned(), value.trim().to_owned());
            config.set(Setting { key, text, origin: Origin::CommandLine })?;
        }
        config.check_relations()?;
        Ok(config)
    }

    /// The value of an option.
    pub fn get<T: ConfigValue>(&self, option: &ConfigOption<T>) -> T {
        let value = T::parse(self.text(option));
        value.expect("values are checked when they are set, and defaults by a test")
    }

    /// What is set, as keys and the texts of their values: what another process needs to have the same configuration.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.set.iter().map(|(key, text)| (*key, text.as_str()))
    }

    /// What is set of the options that a job may have values of its own for: goes with the job.
    pub fn job_settings(&self) -> BTreeMap<String, String> {
        let set = of_jobs().filter_map(|option| Some((option.key().to_owned(), self.set.get(option.key())?.clone())));
        set.collect()
    }

    /// The same, but for what a job has set.
    ///
    /// Errors as [`Configuration::load`] does.
    pub fn with(&self, job_settings: &BTreeMap<String, String>) -> Result<Configuration> {
        let mut config = self.clone();
        for (key, text) in job_settings {
            config.set(Setting { key: key.clone(), text: text.clone(), origin: Origin::CommandLine })?;
        }
        config.check_relations()?;
        Ok(config)
    }

    fn text(&self, option: &dyn Declaration) -> &str {
        self.set.get(option.key()).map_or(option.default(), String::as_str)
    }

    fn set(&mut self, setting: Setting) -> Result<()> {
        let Setting { key, text, origin } = setting;
        let components = components();
        let mut options = components.iter().flat_map(|component| component.options);
        let Some(option) = options.find(|option| option.key() == key) else {
            let keys = components.iter().flat_map(|component| component.options).map(|option| option.key());
            let nearest = nearest::nearest(&key, keys);
            return Err(Error::usage(format!("{origin}: there is no option '{key}'; did you mean '{nearest}'?")));
        };
        if !option.accepts(&text) {
            let allowed = option.allowed();
            return Err(Error::usage(format!("{origin}: {key} is '{text}'; it has to be {allowed}")));
        }
        self.set.insert(option.key(), text);
        Ok(())
    }

    /// Refuses options that only make sense together.
    fn check_relations(&self) -> Result<()> {
        self.ordered(&heartbeat::INTERVAL, &heartbeat::TIMEOUT)?;
        self.ordered(&taskmanager::NETWORK_MEMORY_MIN, &taskmanager::NETWORK_MEMORY_MAX)?;
        self.ordered(&restart::INITIAL_BACKOFF, &restart::MAX_BACKOFF)
    }

    fn ordered<T: ConfigValue + PartialOrd>(&self, less: &ConfigOption<T>, more: &ConfigOption<T>) -> Result<()> {
        if self.get(less) <= self.get(more) {
            return Ok(());
        }
        let shown = |option: &ConfigOption<T>| format!("{} ({})", option.key(), self.text(option));
        Err(Error::usage(format!("{} may not be more than {}", shown(less), shown(more))))
    }
}
