//! Hadoop's configuration files: `core-site.xml`, `hdfs-site.xml` and `yarn-site.xml`.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The files, in the order in which they are read; a later value wins unless an earlier one is final.
const FILES: [&str; 3] = ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"];

/// How many `${…}` of a value are replaced, one after another; Hadoop's own limit.
const SUBSTITUTIONS_MAX: usize = 20;

/// How deep files may include each other.
const INCLUDES_MAX: usize = 10;

/// The properties of a Hadoop client. Defaults are those of whoever asks: Hadoop's lie in its jars.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    properties: BTreeMap<String, Property>,
    environment: BTreeMap<String, String>,
    folder: PathBuf,
}

#[derive(Clone, Debug)]
struct Property {
    value: String,
    is_final: bool,
}

impl Configuration {
    /// Reads the files in `HADOOP_CONF_DIR`, or else in `etc/hadoop` of `HADOOP_HOME`, both looked up in `environment`,
    /// from which `${env.NAME}` comes too.
    ///
    /// # Errors
    /// When neither variable is set, or the folder holds no `core-site.xml`: the message says what to set.
    pub fn discover(environment: impl IntoIterator<Item = (String, String)>) -> Result<Configuration> {
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let folder = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || Some(folder("HADOOP_HOME")?.join("etc/hadoop"));
        let Some(found) = folder("HADOOP_CONF_DIR").or_else(home) else {
            return Err(Error::configuration(
                "no Hadoop configuration: set HADOOP_CONF_DIR to the folder with core-site.xml, hdfs-site.xml and \
                 yarn-site.xml",
            ));
        };
        Configuration::load(&found, environment)
    }

    /// A configuration without files, for a process with these variables.
    pub fn empty(environment: impl IntoIterator<Item = (String, String)>) -> Configuration {
        Configuration { environment: environment.into_iter().collect(), ..Configuration::default() }
    }

    /// Reads the files in `folder`, of which only `core-site.xml` must exist.
    pub fn load(folder: &Path, environment: BTreeMap<String, String>) -> Result<Configuration> {
        let mut found = Configuration { properties: BTreeMap::new(), environment, folder: folder.to_path_buf() };
        for name in FILES {
            let path = folder.join(name);
            if name == FILES[0] || path.exists() {
                found.read(&path, 0)?;
            }
        }
        Ok(found)
    }

    /// The folder that was read; empty for a configuration that was made by hand.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All keys that are set, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.properties.keys().map(String::as_str)
    }

    /// The user as whom Hadoop is asked, where nothing has to prove it: `HADOOP_USER_NAME`, or else the user of this
    /// process.
    ///
    /// # Errors
    /// When the process's user has no name in `/etc/passwd`, and `USER` isn't set either.
    pub fn user(&self) -> Result<String> {
        let of_process = || user_of_process().or_else(|| self.variable("USER")).or_else(|| self.variable("LOGNAME"));
        self.variable("HADOOP_USER_NAME").or_else(of_process).ok_or_else(|| {
            Error::configuration("the user of this process has no name in /etc/passwd: set HADOOP_USER_NAME")
        })
    }

    /// A variable of the environment; an empty one counts as none.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Sets a property, final or not.
    pub fn set(&mut self, key: &str, value: &str) {
        self.properties.insert(key.to_owned(), Property { value: value.to_owned(), is_final: false });
    }

    /// The value of `key` without surrounding blanks, all `${…}` replaced.
    ///
    /// # Errors
    /// When there are more than 20 replacements: the value mentions itself.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let Some(property) = self.properties.get(key) else { return Ok(None) };
        let mut value = property.value.clone();
        for _ in 0..SUBSTITUTIONS_MAX {
            let Some((range, replacement)) = self.first_variable(&value) else {
                return Ok(Some(value.trim().to_owned()));
            };
            value.replace_range(range, &replacement);
        }
        Err(self.wrong(key, &property.value, "a value without variables that lead back to it"))
    }

    /// The value of `key`, or the default.
    pub fn get_or(&self, key: &str, default: &str) -> Result<String> {
        Ok(self.get(key)?.unwrap_or_else(|| default.to_owned()))
    }

    /// The parts of a list with commas, without blanks around them.
    pub fn list(&self, key: &str) -> Result<Vec<String>> {
        let value = self.get(key)?.unwrap_or_default();
        Ok(value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    /// Whether `key` is `true`; what is neither true nor false counts as the default.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.get(key)?.and_then(|value| value.to_ascii_lowercase().parse().ok()).unwrap_or(default))
    }

    /// A whole number.
    pub fn number(&self, key: &str, default: u64) -> Result<u64> {
        let Some(value) = self.get(key)? else { return Ok(default) };
        value.parse().map_err(|_| self.wrong(key, &value, "a whole number"))
    }

    /// A time: a number of ms, or one with a unit (`ns`, `us`, `ms`, `s`, `m`, `h`, `d`). A negative one is zero.
    pub fn time(&self, key: &str, default: Duration) -> Result<Duration> {
        let Some(value) = self.get(key)? else { return Ok(default) };
        if value.strip_prefix('-').is_some_and(|digits| digits.parse::<u64>().is_ok()) {
            return Ok(Duration::ZERO);
        }
        let (digits, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
        let nanos_per_unit = match unit.trim() {
            "ns" => 1,
            "us" => 1_000,
            "" | "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            _ => 0u64,
        };
        let nanos = digits.parse().ok().filter(|_| nanos_per_unit > 0).map(|n: u64| n.saturating_mul(nanos_per_unit));
        nanos.map(Duration::from_nanos).ok_or_else(|| self.wrong(key, &value, "a time such as 500 (ms), 30s or 5m"))
    }

    fn wrong(&self, key: &str, value: &str, expected: &str) -> Error {
        let folder = self.folder.display();
        Error::configuration(format!("{key} is '{value}' in {folder}; it should be {expected}"))
    }

    /// The first `${…}` that can be replaced, and by what; the innermost if they are nested. Others stay as they are.
    fn first_variable(&self, value: &str) -> Option<(std::ops::Range<usize>, String)> {
        let ends = value.match_indices('}').map(|(end, _)| end);
        ends.into_iter().find_map(|end| {
            let start = value[..end].rfind("${")?;
            Some((start..end + 1, self.replacement(&value[start + 2..end])?))
        })
    }

    fn replacement(&self, name: &str) -> Option<String> {
        if let Some(name) = name.strip_prefix("env.") {
            let (name, default, also_if_empty) = match name.split_once('-') {
                Some((name, default)) if name.ends_with(':') => (&name[..name.len() - 1], Some(default), true),
                Some((name, default)) => (name, Some(default), false),
                None => (name, None, false),
            };
            let value = self.environment.get(name).filter(|value| !(also_if_empty && value.is_empty()));
            return value.cloned().or_else(|| default.map(str::to_owned));
        }
        let system = match name {
            "user.name" => self.environment.get("USER").or_else(|| self.environment.get("LOGNAME")),
            "user.home" => self.environment.get("HOME"),
            _ => None,
        };
        system.cloned().or_else(|| Some(self.properties.get(name)?.value.clone()))
    }

    fn read(&mut self, path: &Path, depth: usize) -> Result<()> {
        if depth > INCLUDES_MAX {
            return Err(Error::configuration(format!("{} is included in a circle", path.display())));
        }
        let text = std::fs::read_to_string(path).map_err(|error| Error::file("read", path, error))?;
        let document = roxmltree::Document::parse(&text)
            .map_err(|error| Error::configuration(format!("{}: {error}", path.display())))?;
        for node in document.root_element().children().filter(roxmltree::Node::is_element) {
            match node.tag_name().name() {
                "property" => self.add(node),
                "include" => self.include(node, path, depth)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes a `<property>` over, given as elements or as attributes.
    fn add(&mut self, node: roxmltree::Node<'_, '_>) {
        let part = |name: &str| {
            let child = node.children().find(|child| child.has_tag_name(name));
            let text = child.map(|child| child.text().unwrap_or_default());
            text.or_else(|| node.attribute(name))
        };
        let (Some(key), Some(value)) = (part("name"), part("value")) else { return };
        let is_final = part("final").is_some_and(|value| value.trim() == "true");
        let entry = self.properties.entry(key.trim().to_owned());
        let property = Property { value: value.to_owned(), is_final };
        entry
            .and_modify(|old| {
                if !old.is_final {
                    *old = property.clone()
                }
            })
            .or_insert(property);
    }

    /// Reads the file that an `<xi:include href>` names, relative to this one; without it, a `<fallback>` must be
    /// there.
    fn include(&mut self, node: roxmltree::Node<'_, '_>, path: &Path, depth: usize) -> Result<()> {
        let Some(href) = node.attribute("href") else { return Ok(()) };
        let included = path.with_file_name("").join(href);
        let has_fallback = node.children().any(|child| child.tag_name().name() == "fallback");
        if has_fallback && !included.exists() {
            return Ok(());
        }
        self.read(&included, depth + 1)
    }
}

/// The name of the user that this process runs as.
fn user_of_process() -> Option<String> {
    let id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = users.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1) == Some(id.as_str())).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, properties: &str) {
        let text = format!(
            "<?xml version=\"1.0\"?>\n<!-- a comment -->\n<configuration xmlns:xi=\"http://www.w3.org/2001/XInclude\">\
             {properties}</configuration>\n"
        );
        std::fs::write(folder.join(name), text).unwrap();
    }

    fn property(key: &str, value: &str) -> String {
        format!("<property><name>{key}</name><value>{value}</value></property>")
    }

    #[test]
    fn later_files_win_over_all_but_final_values() {
        let folder = tempfile::tempdir().unwrap();
        let fixed = "<property><name>a</name><value>1</value><final>true</final></property>";
        let include = "<xi:include href=\"more.xml\"/><xi:include href=\"none.xml\"><xi:fallback/></xi:include>";
        write(folder.path(), "core-site.xml", &format!("{fixed}{}{include}", property("b", "1")));
        write(folder.path(), "more.xml", &property("c", "&lt;1&gt; "));
        let attributes = "<property name=\"d\" value=\"4\"/>";
        write(folder.path(), "yarn-site.xml", &format!("{}{}{attributes}", property("a", "2"), property("b", "2")));
        let conf = Configuration::load(folder.path(), BTreeMap::new()).unwrap();
        let get = |key: &str| conf.get(key).unwrap();
        assert_eq!((get("a").as_deref(), get("b").as_deref()), (Some("1"), Some("2")));
        assert_eq!((get("c").as_deref(), get("d").as_deref(), get("e")), (Some("<1>"), Some("4"), None));
    }

    #[test]
    fn variables_come_from_properties_and_the_environment() {
        let mut conf = Configuration::default();
        conf.environment.insert("USER".to_owned(), "ann".to_owned());
        conf.environment.insert("EMPTY".to_owned(), String::new());
        let values = [
            ("dir", "/tmp/hadoop-${user.name}"),
            ("sub", "${dir}/x/${dir}"),
            ("env", "${env.USER}${env.NONE-a}${env.EMPTY-b}${env.EMPTY:-c}"),
            ("nested", "${${which}}"),
            ("which", "dir"),
            ("unknown", "${none}/${dir}"),
            ("circle", "${circle}"),
        ];
        values.iter().for_each(|(key, value)| conf.set(key, value));
        let get = |key: &str| conf.get(key).unwrap().unwrap();
        assert_eq!(get("sub"), "/tmp/hadoop-ann/x//tmp/hadoop-ann");
        assert_eq!((get("env").as_str(), get("nested").as_str()), ("annac", "/tmp/hadoop-ann"));
        assert_eq!(get("unknown"), "${none}//tmp/hadoop-ann");
        assert!(conf.get("circle").unwrap_err().to_string().starts_with("circle is '${circle}'"));
    }

    #[test]
    fn values_have_types() {
        let mut conf = Configuration::default();
        [("t", "30s"), ("u", "1500"), ("v", "-1"), ("n", " 7 "), ("x", "5 parsecs"), ("l", " a, b,,c"), ("f", "TRUE")]
            .iter()
            .for_each(|(key, value)| conf.set(key, value));
        let time = |key| conf.time(key, Duration::ZERO);
        assert_eq!((time("t").unwrap(), time("u").unwrap()), (Duration::from_secs(30), Duration::from_millis(1500)));
        assert_eq!(time("v").unwrap(), Duration::ZERO);
        assert_eq!((conf.number("n", 1).unwrap(), conf.number("m", 1).unwrap()), (7, 1));
        assert_eq!((conf.list("l").unwrap().join("+"), conf.flag("f", false).unwrap()), ("a+b+c".to_owned(), true));
        assert!(time("x").unwrap_err().to_string().contains("it should be a time such as"));
        assert!(conf.number("l", 0).is_err());
    }

    #[test]
    fn the_folder_is_found_or_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let message = Configuration::discover([]).unwrap_err().to_string();
        assert!(message.contains("set HADOOP_CONF_DIR"), "{message}");
        let home = ("HADOOP_HOME".to_owned(), folder.path().display().to_string());
        let message = Configuration::discover([home.clone()]).unwrap_err().to_string();
        assert!(message.contains("etc/hadoop/core-site.xml"), "{message}");
        std::fs::create_dir_all(folder.path().join("etc/hadoop")).unwrap();
        write(&folder.path().join("etc/hadoop"), "core-site.xml", &property("k", "v"));
        assert_eq!(Configuration::discover([home]).unwrap().get("k").unwrap().as_deref(), Some("v"));
    }
}
