//! Options in Flink's own spelling: names of several letters behind one dash.

use std::ffi::OsString;

/// What Flink's users write, and what it is called here.
const SHORT: [(&str, &str); 8] = [
    ("-id", "--applicationId"),
    ("-jm", "--jobManagerMemory"),
    ("-tm", "--taskManagerMemory"),
    ("-qu", "--queue"),
    ("-nm", "--name"),
    ("-nl", "--nodeLabel"),
    ("-at", "--applicationType"),
    ("-sae", "--shutdownOnAttachedExit"),
];

/// Options of `flinkrs run` that are followed by a value.
const VALUED: [&str; 8] = ["-t", "--target", "-p", "--parallelism", "-m", "--jobmanager", "-D", "--config"];

/// The arguments, with the long names of what Flink abbreviates; those of a program that is run stay as they are.
pub(super) fn spelled(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let action = arguments.get(1).and_then(|action| action.to_str());
    let end = match action {
        Some("yarn-session") => arguments.len(),
        Some("run") => program_at(&arguments),
        _ => return arguments,
    };
    for argument in &mut arguments[..end] {
        if let Some((_, long)) = SHORT.iter().find(|(short, _)| argument.to_str() == Some(short)) {
            *argument = OsString::from(long);
        }
    }
    arguments
}

/// Where the program stands among the arguments of `flinkrs run`: it is the first that is no option and no value of
/// one.
fn program_at(arguments: &[OsString]) -> usize {
    let text = |at: usize| arguments[at].to_str().unwrap_or_default();
    let is_program = |at: &usize| !text(*at).starts_with('-') && !VALUED.contains(&text(at - 1));
    (2..arguments.len()).find(is_program).unwrap_or(arguments.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        let words = spelled(line.split(' ').map(OsString::from)).into_iter();
        words.map(|word| word.into_string().expect("text")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn flink_s_short_names_are_known_up_to_the_program() {
        assert_eq!(
            of("flinkrs yarn-session -jm 1g -tm 2g -nm x -d"),
            "flinkrs yarn-session --jobManagerMemory 1g --taskManagerMemory 2g --name x -d"
        );
        assert_eq!(of("flinkrs run -p 2 -sae ./a -sae"), "flinkrs run -p 2 --shutdownOnAttachedExit ./a -sae");
        assert_eq!(of("flinkrs list -id"), "flinkrs list -id");
    }
}
