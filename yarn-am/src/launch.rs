//! What YARN is told to run: an application, and the command, environment, files and tokens of a container.

use flinkrs_hadoop::error::{Error, Result};
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hadoop::token::{Credentials, Format};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a container runs. Arguments and values reach the process as they are given here.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// The program and its arguments. A container has no `PATH` to speak of: the program is an absolute path or, as
    /// `./NAME`, one of the resources.
    pub command: Vec<String>,
    /// The environment, besides what YARN sets.
    pub environment: BTreeMap<String, String>,
    /// Files for the container's folder, by their names there.
    pub resources: BTreeMap<String, LocalResourceProto>,
    /// Tokens and secrets: the process finds them in the file that `HADOOP_TOKEN_FILE_LOCATION` names.
    pub credentials: Credentials,
    /// What the files for stdout and stderr begin with, in the folder whose files YARN collects.
    pub log_name: String,
}

impl Launch {
    /// The launch context of the container.
    pub fn to_proto(&self) -> ContainerLaunchContextProto {
        let name = escape(&self.log_name);
        let words: Vec<String> = self.command.iter().map(|word| escape(&quote(word))).collect();
        let command = format!("exec {} 1><LOG_DIR>/{name}.out 2><LOG_DIR>/{name}.log", words.join(" "));
        let variable = |(key, value): (&String, &String)| StringStringMapProto {
            key: Some(key.clone()),
            value: Some(escape(value)),
        };
        let resource = |(name, resource): (&String, &LocalResourceProto)| StringLocalResourceMapProto {
            key: Some(name.clone()),
            value: Some(resource.clone()),
        };
        let has_tokens = self.credentials != Credentials::default();
        ContainerLaunchContextProto {
            local_resources: self.resources.iter().map(resource).collect(),
            tokens: has_tokens.then(|| self.credentials.encode(Format::Writable)),
            environment: self.environment.iter().map(variable).collect(),
            command: vec![command],
            ..ContainerLaunchContextProto::default()
        }
    }
}

/// An application to run.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What it is called in lists.
    pub name: String,
    /// What kind of application it is, in lists.
    pub kind: String,
    /// The queue.
    pub queue: String,
    /// Among the applications of a queue, the higher comes first.
    pub priority: Option<i32>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The label of the nodes that it may use.
    pub node_label: Option<String>,
    /// How often its ApplicationMaster may be started; 0 for the cluster's own number.
    pub attempts: u32,
    /// For how long the failure of an ApplicationMaster counts among these.
    pub failures_validity: Duration,
    /// Whether its containers outlive an ApplicationMaster that is started again.
    pub keep_containers: bool,
    /// Memory of the ApplicationMaster's container.
    pub memory_mb: u64,
    /// Cores of the ApplicationMaster's container.
    pub vcores: u32,
    /// What that container runs.
    pub launch: Launch,
}

impl Submission {
    /// The submission under a number that the ResourceManager gave out.
    pub fn to_proto(&self, id: ApplicationIdProto) -> ApplicationSubmissionContextProto {
        ApplicationSubmissionContextProto {
            application_id: Some(id),
            application_name: Some(self.name.clone()),
            queue: Some(self.queue.clone()),
            priority: self.priority.map(|priority| PriorityProto { priority: Some(priority) }),
            am_container_spec: Some(self.launch.to_proto()),
            max_app_attempts: Some(self.attempts as i32),
            attempt_failures_validity_interval: Some(self.failures_validity.as_millis() as i64),
            resource: Some(resource(self.memory_mb, self.vcores)),
            application_type: Some(self.kind.clone()),
            keep_containers_across_application_attempts: Some(self.keep_containers),
            application_tags: self.tags.clone(),
            node_label_expression: self.node_label.clone(),
            ..ApplicationSubmissionContextProto::default()
        }
    }
}

/// The size of a container.
pub fn resource(memory_mb: u64, vcores: u32) -> ResourceProto {
    ResourceProto { memory: Some(memory_mb as i64), virtual_cores: Some(vcores as i32) }
}

/// A file that YARN copies to the node. `url` is `SCHEME://HOST:PORT/PATH`; size in bytes and time of change in ms
/// since 1970 have to be those of the file when it is copied.
///
/// # Errors
/// When `url` has no scheme, or a port that is no number.
pub fn file(url: &str, bytes: u64, changed_ms: u64, is_public: bool) -> Result<LocalResourceProto> {
    let visibility = match is_public {
        true => LocalResourceVisibilityProto::Public,
        false => LocalResourceVisibilityProto::Application,
    };
    Ok(LocalResourceProto {
        resource: Some(parse_url(url)?),
        size: Some(bytes as i64),
        timestamp: Some(changed_ms as i64),
        r#type: Some(LocalResourceTypeProto::File as i32),
        visibility: Some(visibility as i32),
        pattern: None,
    })
}

fn parse_url(url: &str) -> Result<UrlProto> {
    let wrong = || Error::configuration(format!("'{url}' is no URL such as hdfs://HOST:PORT/PATH"));
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (authority, path) = rest.split_at(rest.find('/').ok_or_else(wrong)?);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
        None => (authority, None),
    };
    Ok(UrlProto {
        scheme: Some(scheme.to_owned()),
        host: Some(host.to_owned()).filter(|host| !host.is_empty()),
        port,
        file: Some(path.to_owned()),
        user_info: None,
    })
}

/// A word as a shell reads it literally.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A text for between the double quotes in which YARN puts commands and values into its script. YARN replaces `{{`,
/// `}}`, `<CPS>` and `<LOG_DIR>` before; an empty string in between (`""` leaves the quotes and enters them) saves
/// them.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if matches!(c, '\\' | '"' | '$' | '`') {
            escaped.push('\\');
        }
        escaped.push(c);
        let rest = &text[at + c.len_utf8()..];
        let doubled = matches!(c, '{' | '}') && rest.starts_with(c);
        if doubled || (c == '<' && (rest.starts_with("CPS>") || rest.starts_with("LOG_DIR>"))) {
            escaped.push_str("\"\"");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// What YARN's script makes of a text: its own replacements, and then bash.
    fn through_yarn(text: &str, inside: &str) -> String {
        let expanded = text.replace("<LOG_DIR>", "/logs").replace("<CPS>", ":").replace("{{", "$").replace("}}", "");
        let output = Command::new("bash").arg("-c").arg(inside.replace("TEXT", &expanded)).output().unwrap();
        assert!(output.status.success(), "{inside} with {expanded}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What shells and YARN would like to change, as a regular expression.
    const AWKWARD: &str = "([a-c'\"$`{}<>|&;* !\\\\\n]|<CPS>|<LOG_DIR>|\\$HOME|\\{\\{|ä){0,20}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn words_and_values_survive_yarn_and_bash(text in AWKWARD) {
            prop_assert_eq!(through_yarn(&escape(&text), "export V=\"TEXT\"; printf %s \"$V\""), text.clone());
            let script = format!("exec /bin/bash -c \"printf %s {}\"", escape(&quote(&text)));
            prop_assert_eq!(through_yarn(&script, "TEXT"), text);
        }
    }

    #[test]
    fn a_launch_context_has_it_all() {
        let mut launch = Launch { command: vec!["/bin/echo".to_owned(), "a b".to_owned()], ..Launch::default() };
        launch.log_name = "am".to_owned();
        launch.environment.insert("K".to_owned(), "$x".to_owned());
        launch.resources.insert("f".to_owned(), file("hdfs://h:8020/a/b", 5, 7, true).unwrap());
        assert_eq!(launch.to_proto().tokens, None);
        launch.credentials.secrets.insert("s".to_owned(), vec![1]);
        let context = launch.to_proto();
        assert_eq!(context.command, ["exec '/bin/echo' 'a b' 1><LOG_DIR>/am.out 2><LOG_DIR>/am.log"]);
        assert_eq!(context.environment[0].value(), "\\$x");
        assert_eq!(Credentials::decode(context.tokens()).unwrap(), launch.credentials);
        let url = context.local_resources[0].value.clone().unwrap().resource.unwrap();
        assert_eq!((url.scheme(), url.host(), url.port(), url.file()), ("hdfs", "h", 8020, "/a/b"));
        assert!(file("a/b", 0, 0, true).is_err() && file("hdfs://h:x/b", 0, 0, true).is_err());
        assert_eq!(parse_url("hdfs://cluster/b").unwrap().port, None);
    }
}
