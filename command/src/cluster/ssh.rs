//! Processes on other machines, by ssh.

use flinkrs_core::config::{Configuration, jobmanager};
use std::path::Path;
use std::process::{Command, Stdio};

/// How the line begins in which a process elsewhere says its id.
pub(super) const PROCESS: &str = "process ";

/// How long a host may take to answer, in seconds.
const CONNECT_SECONDS: u32 = 10;

/// How ssh is called.
pub(super) struct Ssh {
    options: Vec<String>,
}

impl Ssh {
    pub(super) fn new(config: &Configuration) -> Ssh {
        let options = config.get(&jobmanager::SSH_OPTS).unwrap_or_default();
        Ssh { options: options.split_whitespace().map(str::to_owned).collect() }
    }

    /// Starts this executable, which has to be there under the same path, with these arguments on a host.
    pub(super) fn start(&self, host: &str, executable: &Path, action: &str, arguments: &[String]) -> Command {
        let executable = executable.display().to_string();
        let words = [&*executable, action].into_iter().chain(arguments.iter().map(String::as_str));
        let words: Vec<String> = words.map(quoted).collect();
        // The shell becomes the process, so that its id is known.
        self.call(host, &format!("echo \"{PROCESS}$$\"; exec {}", words.join(" ")))
    }

    /// Ends a process on a host, if that can be reached.
    pub(super) fn kill(&self, host: &str, process: &str) {
        let mut command = self.call(host, &format!("kill {process}"));
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    fn call(&self, host: &str, line: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-o", "BatchMode=yes", "-o", &format!("ConnectTimeout={CONNECT_SECONDS}")]);
        command.args(&self.options).arg(host).arg(line);
        command
    }
}

/// A word as a shell reads it whole.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_every_word_as_it_is() {
        let words = ["a b", "it's", "$HOME `id` \"x\" \\", "", "-Dk=v;rm *"];
        let line = format!("printf '%s\\n' {}", words.map(quoted).join(" "));
        let output = Command::new("sh").arg("-c").arg(line).output().expect("there is a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), words.map(|word| format!("{word}\n")).concat());
    }
}
