//! The jobs of the comparison: both programs, their inputs, and how their answers must agree.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::check::{Content, Lines, content, content_in_order, count_lines};
use super::process::{Run, measure};
use super::setup::Setup;
use crate::cli::about;
use crate::records::RECORD;
use crate::tpch::{CUSTOMER, LINEITEM, NATION, ORDERS, Table};

/// The names of all jobs.
pub(super) const NAMES: [&str; 6] = ["wordcount", "sort", "tpch_q3", "tpch_q10", "keyed_1k", "keyed_1m"];

/// The names that a word of `only` begins, or all of them when it is empty; errors when a word begins none.
pub(super) fn selected(names: &[&'static str], only: &[String]) -> Result<Vec<&'static str>, String> {
    if let Some(unknown) = only.iter().find(|word| !names.iter().any(|name| name.starts_with(word.as_str()))) {
        return Err(format!("there is no job `{unknown}`; jobs are {}", names.join(", ")));
    }
    let is_wanted = |name: &&str| only.is_empty() || only.iter().any(|word| name.starts_with(word.as_str()));
    Ok(names.iter().copied().filter(is_wanted).collect())
}

/// A job that both sides do.
pub(super) struct Job {
    /// Its name.
    pub(super) name: &'static str,
    /// Records of its inputs.
    pub(super) rows: u64,
    /// Bytes of its inputs, if they are files.
    pub(super) bytes: Option<u64>,
    plain: Command,
    engine: Command,
    outputs: [PathBuf; 2],
    agreement: Agreement,
}

/// How both answers must agree.
enum Agreement {
    /// The same lines in any order.
    SortedLines,
    /// The same lines in the same order.
    Lines,
    /// Both in order, with this content.
    InOrder(Content),
    /// The same number of rows and the same checksum, as printed.
    Printed,
}

impl Job {
    /// The job of this name.
    pub(super) fn new(setup: &Setup, name: &'static str) -> Result<Job, String> {
        match name {
            "wordcount" => wordcount(setup, &setup.threads),
            "sort" => sort(setup),
            "tpch_q3" => query(setup, name, "plain_q3", &[CUSTOMER, ORDERS, LINEITEM]),
            "tpch_q10" => query(setup, name, "plain_q10", &[CUSTOMER, ORDERS, LINEITEM, NATION]),
            "keyed_1k" => Ok(keyed(setup, name, 1_000)),
            _ => Ok(keyed(setup, name, 1_000_000)),
        }
    }

    /// Runs the plain program, then the engine's, and checks their answers.
    pub(super) fn run(&mut self) -> Result<(Run, Run), String> {
        self.outputs.iter().try_for_each(|output| super::setup::remove(output))?;
        let (plain, engine) = (measure(&mut self.plain)?, measure(&mut self.engine)?);
        self.check(&plain, &engine)?;
        self.outputs.iter().try_for_each(|output| super::setup::remove(output))?;
        Ok((plain, engine))
    }

    fn check(&self, plain_run: &Run, engine_run: &Run) -> Result<(), String> {
        let [plain, engine] = &self.outputs;
        match &self.agreement {
            Agreement::SortedLines => Lines::read(plain)?.same_sorted(&Lines::read(engine)?),
            Agreement::Lines => Lines::read(plain)?.same(&Lines::read(engine)?),
            Agreement::InOrder(input) => {
                for (side, output) in [("plain", plain), ("engine", engine)] {
                    if content_in_order(output)? != *input {
                        return Err(format!("the output has other records than the input ({side})"));
                    }
                }
                Ok(())
            }
            Agreement::Printed => {
                let answer = |run: &Run| Some((run.value("ROWS")?.to_string(), run.value("CHECKSUM")?.to_string()));
                match (answer(plain_run), answer(engine_run)) {
                    (Some(plain), Some(engine)) if plain == engine => Ok(()),
                    (plain, engine) => Err(format!("the answers differ: {plain:?} (plain), {engine:?} (engine)")),
                }
            }
        }
    }
}

fn outputs(setup: &Setup, name: &str) -> Result<[PathBuf; 2], String> {
    Ok([setup.output(&format!("{name}-plain"))?, setup.output(&format!("{name}-engine"))?])
}

fn bytes(path: &PathBuf) -> Result<u64, String> {
    Ok(fs::metadata(path).map_err(about(path.display()))?.len())
}

/// Word count, in the engine with the given parallelism.
pub(super) fn wordcount(setup: &Setup, parallelism: &str) -> Result<Job, String> {
    let (input, outputs) = (setup.data.join("text.txt"), outputs(setup, "wordcount")?);
    let mut plain = setup.program("plain_wordcount");
    plain.arg(&input).arg(&outputs[0]).arg(&setup.threads);
    let mut engine = setup.example("wordcount", parallelism);
    engine.arg("--input").arg(&input).arg("--output").arg(&outputs[1]);
    Ok(Job {
        name: "wordcount",
        rows: count_lines(&input)?,
        bytes: Some(bytes(&input)?),
        plain,
        engine,
        outputs,
        agreement: Agreement::SortedLines,
    })
}

fn sort(setup: &Setup) -> Result<Job, String> {
    let (input, outputs) = (setup.data.join("records.bin"), outputs(setup, "sort")?);
    let mut plain = setup.program("plain_sort");
    plain.arg(&input).arg(&outputs[0]).arg(&setup.threads);
    let mut engine = setup.example("terasort", &setup.threads);
    engine.arg("sort").arg("--input").arg(&input).arg("--output").arg(&outputs[1]);
    let bytes = bytes(&input)?;
    Ok(Job {
        name: "sort",
        rows: bytes / RECORD as u64,
        bytes: Some(bytes),
        plain,
        engine,
        outputs,
        agreement: Agreement::InOrder(content(&input)?),
    })
}

fn query(setup: &Setup, name: &'static str, plain: &str, tables: &[Table]) -> Result<Job, String> {
    let (folder, outputs) = (setup.data.join("tpch"), outputs(setup, name)?);
    let mut plain = setup.program(plain);
    plain.arg(&folder).arg(&outputs[0]).arg(&setup.threads);
    let mut engine = setup.example(name, &setup.threads);
    let (mut rows, mut all_bytes) = (0, 0);
    for table in tables {
        let path = folder.join(table.file);
        rows += count_lines(&path)?;
        all_bytes += bytes(&path)?;
        engine.arg(format!("--{}", table.file.trim_end_matches(".tbl"))).arg(path);
    }
    engine.arg("--output").arg(&outputs[1]);
    Ok(Job { name, rows, bytes: Some(all_bytes), plain, engine, outputs, agreement: Agreement::Lines })
}

fn keyed(setup: &Setup, name: &'static str, keys: u64) -> Job {
    let rows = setup.sized(2_000_000, 40_000_000);
    let (keys, pairs) = (keys.to_string(), rows.to_string());
    let mut plain = setup.program("plain_keyed");
    plain.args([&keys, &pairs, &setup.threads]);
    let mut engine = setup.program("engine_keyed");
    engine.args(["--keys", &keys, "--pairs", &pairs, "-p", &setup.threads]);
    Job { name, rows, bytes: None, plain, engine, outputs: Default::default(), agreement: Agreement::Printed }
}
