//! Bad input, and output that can't be made.

use crate::faults_process::{Place, entries, run};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// What a program says of `input`.
fn reads(place: &Place, case: &str, input: &Path, message: &str) {
    place.fails(case, &["--input", text_of(input)], 3, message);
}

#[test]
fn a_missing_file_is_named() {
    let place = Place::new();
    let input = place.path().join("nothing");
    let message = format!("cannot find {}: No such file or directory (os error 2)", input.display());
    reads(&place, "text", &input, &message);
    let pattern = place.path().join("no*.txt");
    reads(&place, "text", &pattern, &format!("no file matches {}", pattern.display()));
}

#[test]
fn a_circle_of_links_is_named() {
    let place = Place::new();
    let (one, other) = (place.path().join("one"), place.path().join("other"));
    symlink(&one, &other).expect("links can be made");
    symlink(&other, &one).expect("links can be made");
    let message = format!("cannot find {}: Too many levels of symbolic links (os error 40)", one.display());
    reads(&place, "text", &one, &message);
}

/// As somebody without rights: by `setpriv` if this is root, who could read everything.
fn unprivileged(place: &Place, case: &str, arguments: &[&str]) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    if !root {
        return place.misbehave(case, arguments);
    }
    for folder in [place.path(), &place.sink(), &place.temp()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("it is ours");
    }
    let program = place.path().join("misbehave");
    fs::copy(env!("CARGO_BIN_EXE_misbehave"), &program).expect("programs can be copied");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program).arg(case);
    command.arg("--temp-dir").arg(place.temp()).arg("--output").arg(place.output()).args(arguments);
    command
}

#[test]
fn a_folder_or_file_without_rights_is_named() {
    let place = Place::new();
    let locked = place.path().join("locked");
    fs::create_dir(&locked).expect("folders can be made");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("it is ours");
    let denied = "Permission denied (os error 13)";
    let outcome = run(&mut unprivileged(&place, "text", &["--input", text_of(&locked)]));
    outcome.assert_failed(3, &format!("cannot list folder {}: {denied}", locked.display()));
    place.assert_clean();

    let secret = place.file("secret", b"text\n");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("it is ours");
    let outcome = run(&mut unprivileged(&place, "text", &["--input", text_of(&secret)]));
    outcome.assert_failed(3, &format!("cannot open {}: {denied}", secret.display()));
    place.assert_clean();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).expect("it is ours");
}

#[test]
fn an_output_without_rights_is_named() {
    let place = Place::new();
    let mut command = unprivileged(&place, "numbers", &[]);
    fs::set_permissions(place.sink(), fs::Permissions::from_mode(0o555)).expect("it is ours");
    let denied = "Permission denied (os error 13)";
    let message = format!("cannot create folder {}/.output.flinkrs-*: {denied}", place.sink().display());
    run(&mut command).assert_failed(3, &message);
    place.assert_clean();
}

#[test]
fn a_temp_folder_without_rights_is_named_before_the_job_runs() {
    let place = Place::new();
    let mut command = unprivileged(&place, "numbers", &[]);
    fs::set_permissions(place.temp(), fs::Permissions::from_mode(0o555)).expect("it is ours");
    let reason = "Permission denied (os error 13)*";
    let advice = "name a folder that exists and can be written with --temp-dir";
    let message = format!("cannot spill to {}: {reason}; {advice}", place.temp().display());
    run(&mut command).assert_failed(3, &message);
    place.assert_clean();
}

#[test]
fn a_file_in_place_of_the_outputs_folder_is_named() {
    let place = Place::new();
    let file = place.file("file", b"mine");
    let output = file.join("below");
    let message = format!("cannot find {}: Not a directory (os error 20)", output.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_misbehave"));
    run(command.arg("numbers").arg("--output").arg(&output)).assert_failed(3, &message);
    assert_eq!(fs::read(file).expect("it is there"), b"mine");
}

#[test]
fn a_malformed_line_is_shown_with_its_place() {
    let place = Place::new();
    let mut rows: Vec<String> = (1..=50_000).map(|n| format!("{n},name {n},{}.5", n % 100)).collect();
    let input = place.path().join("rows.csv");
    let name = input.display();
    let mut says = |row: &str, problem: &str| {
        rows[41_234] = row.to_owned();
        place.file("rows.csv", rows.join("\n").as_bytes());
        let place_and_row = format!("{name}, line 41235, {problem}; the line is: {row}");
        reads(&place, "csv", &input, &format!("operator 'Csv({name})' (subtask */2): {place_and_row}"));
    };
    says("41235,\"a, b\",12;5", "column 3: '12;5' is not a number (f64)");
    says("41235,short", "column 3: a number (f64) is expected, but there are only 2 columns");
    says("-1,a,1", "column 1: '-1' is *(u64)");
}

#[test]
fn bytes_that_are_no_text_are_shown_with_their_place() {
    let place = Place::new();
    let mut bytes = b"line\n".repeat(100_000);
    bytes[345_678] = 0xff;
    let input = place.file("text", &bytes);
    let (name, line) = (input.display(), 345_678 / 5 + 1);
    let message = format!(
        "operator 'Text({name})' (subtask */2): {name}, line {line}: byte 345678 of the file is not UTF-8 text; \
         `.charset_lossy(true)` reads it with \u{fffd} in place of what is invalid"
    );
    reads(&place, "text", &input, &message);
}

#[test]
fn a_truncated_archive_is_named() {
    let place = Place::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for n in 0..100_000u64 {
        writeln!(encoder, "{}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).expect("it takes everything");
    }
    let whole = encoder.finish().expect("it ends");
    let input = place.file("numbers.gz", &whole[..whole.len() / 2]);
    let name = input.display();
    let message = format!("operator 'Text({name})' (subtask */2): cannot decompress {name}: *");
    reads(&place, "text", &input, &message);
    let input = place.file("nothing.gz", b"not compressed\n");
    reads(&place, "text", &input, &format!("cannot decompress {}: *", input.display()));
}

#[test]
fn an_output_that_exists_is_refused_and_stays() {
    let place = Place::new();
    fs::write(place.output(), "precious").expect("a file can be written");
    let outcome = run(&mut place.misbehave("numbers", &[]));
    let name = place.output();
    let message = format!("sink 'Write': output {} exists; `.mode(WriteMode::Overwrite)` replaces it", name.display());
    outcome.assert_failed(3, &message);
    place.assert_written();
    assert_eq!(place.lines(), ["precious"]);
}

#[test]
fn an_output_to_be_replaced_stays_when_the_job_fails() {
    let place = Place::new();
    fs::write(place.output(), "precious").expect("a file can be written");
    let outcome = run(&mut place.misbehave("panic", &["--overwrite"]));
    outcome.assert_failed(1, "operator 'Unlucky' (subtask */2): user code panicked at *: 13 is an unlucky number");
    place.assert_written();
    assert_eq!(place.lines(), ["precious"]);
    run(&mut place.misbehave("numbers", &["--overwrite"])).assert_done();
    place.assert_written();
    assert_eq!(place.lines().len(), 1000);
}

#[test]
fn two_sinks_with_one_place_are_refused_before_anything_is_made() {
    let place = Place::new();
    let output = place.output();
    let output = output.display();
    let same = format!("sinks 'Write' and 'Write more' write to the same output, {output}");
    let report = place.path().join("report.html");
    symlink(place.sink(), place.path().join("link")).expect("links can be made");
    for case in ["same-output", "same-output-two-ways"] {
        place.fails(case, &[], 2, &same);
        place.fails(case, &["--overwrite", "--report", text_of(&report)], 2, &same);
    }
    assert!(!report.exists());
    let inner =
        format!("sink 'Write more' writes to {output}/deep/inner, inside of the output {output} of sink 'Write'");
    place.fails("inner-output", &["--overwrite"], 2, &inner);
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_job_runs() {
    let place = Place::new();
    for (file, problem) in
        [("none/report.html", "No such file or directory (os error 2)"), ("temp", "Is a directory *")]
    {
        let file = place.path().join(file);
        let message = format!("cannot write report {}: {problem}", file.display());
        place.fails("numbers", &["--report", text_of(&file)], 3, &message);
    }
}

#[test]
fn a_failed_job_leaves_no_report() {
    let place = Place::new();
    let report = place.path().join("report.html");
    let outcome = run(&mut place.misbehave("panic", &["--report", text_of(&report)]));
    assert_eq!(outcome.code, 1);
    place.assert_clean();
    assert_eq!(entries(place.path()), ["sink", "temp"]);
}
