//! What containers are told: it travels in the credentials of their launch contexts, which only their owner can read.

use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::proto::yarn::LocalResourceProto;
use flinkrs_hadoop::token::Credentials;
use flinkrs_protocol::JobId;
use flinkrs_rpc::message::Program;
use flinkrs_rpc::{VERSION, body};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The names under which credentials hold them.
const APPLICATION: &str = "flinkrs.application";
const CONTAINER: &str = "flinkrs.container";

/// The properties of Hadoop that containers need, by how they begin.
const PROPERTIES: [&str; 8] =
    ["fs.", "dfs.", "hadoop.", "ipc.", "io.", "yarn.resourcemanager.", "yarn.scheduler.", "yarn.client."];

/// What every process of an application has to know.
#[derive(Clone, Serialize, Deserialize)]
pub struct Common {
    /// The version of flinkrs: client and containers have to be of the same.
    pub version: String,
    /// What is set in the configuration, as keys and values.
    pub settings: Vec<(String, String)>,
    /// Hadoop's properties, as keys and values.
    pub hadoop: Vec<(String, String)>,
    /// As whom Hadoop is asked.
    pub user: String,
    /// The application's secret.
    pub secret: Vec<u8>,
}

/// What an ApplicationMaster is told.
#[derive(Clone, Serialize, Deserialize)]
pub struct ApplicationSpec {
    /// What its containers have to know, too.
    pub common: Common,
    /// The URL of the folder that is the application's alone, and is removed at its end.
    pub staging: String,
    /// How often YARN starts it, at most.
    pub attempts: u32,
    /// What it is there for.
    pub work: Work,
    /// What lies in the folders of TaskExecutors' containers; the executable of flinkrs is among it.
    pub files: Vec<StagedFile>,
    /// How new tokens are got, if its folder has the user's keys.
    pub tokens: Option<NewTokens>,
    /// Nodes and their racks, as the scheduler calls them, best first; not all of a large cluster.
    pub nodes: Vec<(String, String)>,
}

/// How an ApplicationMaster gets new tokens: by the keys in [`KEYTAB`].
#[derive(Clone, Serialize, Deserialize)]
pub struct NewTokens {
    /// Whose keys these are.
    pub principal: String,
    /// The HDFS that tokens are for: NameNodes or nameservices.
    pub file_systems: Vec<String>,
}

/// What an application is there for.
#[derive(Clone, Serialize, Deserialize)]
pub enum Work {
    /// Whatever is submitted until it is told to end.
    Session,
    /// A job that was planned by a client, whose program may go on to others.
    Job(FirstJob),
    /// A program whose `main` runs beside the ApplicationMaster.
    Program(OwnProgram),
}

/// The first job of a program.
#[derive(Clone, Serialize, Deserialize)]
pub struct FirstJob {
    /// The program. Its executable lies in the container's folder [`PROGRAMS`], under its hash.
    pub program: Program,
    /// Whether its client waits, and whether the job is cancelled when that is lost.
    pub attached: Option<bool>,
    /// The job's id.
    pub job: JobId,
    /// What was submitted; where it is large it lies in the file [`SUBMISSION`] instead, which HDFS takes some time to
    /// make.
    pub submission: Option<Vec<u8>>,
}

/// A program that runs in the ApplicationMaster's container.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnProgram {
    /// Its executable, in the container's folder [`PROGRAMS`].
    pub artifact: String,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// How many subtasks operators run in, unless the program says otherwise.
    pub parallelism: Option<u32>,
    /// Whether exchanges between regions are kept whole.
    pub blocking_exchanges: bool,
}

/// The folder with programs in a container's folder; their names are the hashes of their content.
pub const PROGRAMS: &str = "programs";

/// The file with the submission of the first job in the ApplicationMaster's folder.
pub const SUBMISSION: &str = "submission";

/// The files with the user's keys and with what is known of the realm, in the ApplicationMaster's folder.
pub const KEYTAB: &str = "krb5.keytab";
/// See [`KEYTAB`].
pub const KRB5_CONF: &str = "krb5.conf";

/// The executable of flinkrs in a container's folder.
pub const EXECUTABLE: &str = "flinkrs";

/// A file that YARN copies into a container's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// What it is called there; may lie in a folder.
    pub name: String,
    /// Where it is copied from.
    pub url: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it has changed last, in ms since 1970.
    pub modified_ms: u64,
    /// Whether nodes may keep it for all users; else it is the application's.
    pub is_public: bool,
}

impl StagedFile {
    /// As YARN is told of it.
    ///
    /// Errors when the URL has no scheme, or a port that is no number.
    pub fn to_proto(&self) -> Result<(String, LocalResourceProto)> {
        let file = crate::launch::file(&self.url, self.bytes, self.modified_ms, self.is_public)?;
        Ok((self.name.clone(), file))
    }
}

/// What a TaskExecutor in a container is told.
#[derive(Clone, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// What all processes have to know.
    pub common: Common,
    /// Host and port of the JobManager, or the URL of the file that has them.
    pub jobmanager: String,
    /// The container's id: the TaskExecutor's name.
    pub container: String,
    /// The URL of the file in which new tokens come, if any do.
    pub tokens: Option<String>,
}

impl Common {
    /// What is the same in all containers of an application.
    ///
    /// Errors when a property of Hadoop can't be read.
    pub fn new(settings: Vec<(String, String)>, conf: &Configuration, user: &str, secret: &[u8]) -> Result<Common> {
        let mut hadoop = Vec::new();
        let is_needed = |key: &&str| PROPERTIES.iter().any(|prefix| key.starts_with(prefix)) && !is_secret(key);
        for key in conf.keys().filter(is_needed) {
            hadoop.extend(conf.get(key)?.map(|value| (key.to_owned(), value)));
        }
        let (version, user) = (VERSION.to_owned(), user.to_owned());
        Ok(Common { version, settings, hadoop, user, secret: secret.to_vec() })
    }

    /// Hadoop's configuration.
    pub fn hadoop(&self) -> Configuration {
        self.hadoop_with(Vec::new())
    }

    /// Hadoop's configuration, for a process with these variables.
    pub fn hadoop_with(&self, variables: Vec<(String, String)>) -> Configuration {
        let mut conf = Configuration::empty(variables);
        self.hadoop.iter().for_each(|(key, value)| conf.set(key, value));
        conf
    }

    /// The text of a `core-site.xml` with all properties, for whatever reads `HADOOP_CONF_DIR`.
    pub fn site(&self) -> String {
        let mut text = "<?xml version=\"1.0\"?>\n<configuration>\n".to_owned();
        for (key, value) in &self.hadoop {
            let (key, value) = (escape(key), escape(value));
            text += &format!("<property><name>{key}</name><value>{value}</value></property>\n");
        }
        text + "</configuration>\n"
    }

    fn check(&self) -> Result<()> {
        if self.version == VERSION {
            return Ok(());
        }
        let theirs = &self.version;
        Err(Error::usage(format!("the client is flinkrs {theirs}, and this container's executable {VERSION}")))
    }
}

impl ApplicationSpec {
    /// Puts it where the ApplicationMaster's container finds it.
    ///
    /// Errors when it can't be encoded.
    pub fn store(&self, credentials: &mut Credentials) -> Result<()> {
        store(APPLICATION, self, credentials)
    }

    /// What this container was told.
    ///
    /// Errors when it was told nothing, or by another version.
    pub fn load(credentials: &Credentials) -> Result<ApplicationSpec> {
        let spec: ApplicationSpec = load(APPLICATION, credentials)?;
        spec.common.check()?;
        Ok(spec)
    }
}

impl ContainerSpec {
    /// Puts it where a TaskExecutor's container finds it.
    ///
    /// Errors when it can't be encoded.
    pub fn store(&self, credentials: &mut Credentials) -> Result<()> {
        store(CONTAINER, self, credentials)
    }

    /// What this container was told.
    ///
    /// Errors when it was told nothing, or by another version.
    pub fn load(credentials: &Credentials) -> Result<ContainerSpec> {
        let spec: ContainerSpec = load(CONTAINER, credentials)?;
        spec.common.check()?;
        Ok(spec)
    }
}

fn store<T: Serialize>(name: &str, spec: &T, credentials: &mut Credentials) -> Result<()> {
    credentials.secrets.insert(name.to_owned(), body::encode(spec)?);
    Ok(())
}

fn load<T: DeserializeOwned>(name: &str, credentials: &Credentials) -> Result<T> {
    let bytes = credentials.secrets.get(name);
    let bytes = bytes.ok_or_else(|| {
        Error::usage(format!("this container's credentials have no {name}: it was not started by flinkrs' own command"))
    })?;
    body::decode(bytes)
}

/// Whether a property is for those who hold it alone.
fn is_secret(key: &str) -> bool {
    ["password", "secret", "credential", "access.key"].iter().any(|word| key.to_ascii_lowercase().contains(word))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_reads_what_it_was_told() {
        let mut conf = Configuration::default();
        conf.set("fs.defaultFS", "hdfs://n<&>:1");
        conf.set("fs.s3a.secret.key", "hush");
        conf.set("mapreduce.job.maps", "2");
        let common = Common::new(vec![("rest.port".to_owned(), "0".to_owned())], &conf, "ann", b"x").expect("readable");
        assert_eq!(common.hadoop, [("fs.defaultFS".to_owned(), "hdfs://n<&>:1".to_owned())]);
        assert!(common.site().contains("<value>hdfs://n&lt;&amp;&gt;:1</value>"), "{}", common.site());
        let (jobmanager, container) = ("h:1".to_owned(), "container_1".to_owned());
        let mut spec = ContainerSpec { common, jobmanager, container, tokens: None };
        let mut credentials = Credentials::default();
        assert!(ContainerSpec::load(&credentials).is_err());
        spec.store(&mut credentials).expect("can be encoded");
        assert_eq!(ContainerSpec::load(&credentials).expect("is there").container, "container_1");
        spec.common.version = "0.0.0".to_owned();
        spec.store(&mut credentials).expect("can be encoded");
        let error = ContainerSpec::load(&credentials).err().expect("is another version").to_string();
        assert!(error.contains("flinkrs 0.0.0"), "{error}");
    }
}
