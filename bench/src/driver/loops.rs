//! The programs with loops: the plain ones, and beside them the engine's, where there is one.

use std::path::Path;
use std::process::Command;

use super::check::{Lines, same_numbers};
use super::process::{Run, measure};
use super::setup::{Setup, remove};
use super::table::{self, median, megabytes, sorted};
use crate::loops::input::{FOLDER, FULL, SMALL};

/// The programs of the jobs: with the same options, they must print and write the same.
const COMPONENTS: Programs = Programs { plain: "plain_components", engine: Some("engine_components") };
const PAGERANK: Programs = Programs { plain: "plain_pagerank", engine: Some("engine_pagerank") };
const KMEANS: Programs = Programs { plain: "plain_kmeans", engine: Some("engine_kmeans") };

/// All jobs.
const JOBS: [Job; 4] = [
    Job { name: "components_rmat", programs: COMPONENTS, input: Input::Rmat },
    Job { name: "components_grid", programs: COMPONENTS, input: Input::Grid },
    Job { name: "pagerank", programs: PAGERANK, input: Input::Rmat },
    Job { name: "kmeans", programs: KMEANS, input: Input::Points },
];

/// The names of all jobs.
pub(super) const NAMES: [&str; JOBS.len()] = {
    let mut names = [""; JOBS.len()];
    let mut job = 0;
    while job < JOBS.len() {
        names[job] = JOBS[job].name;
        job += 1;
    }
    names
};

const TITLES: [&str; 10] = [
    "job",
    "plain s",
    "engine s",
    "engine/plain",
    "min–max",
    "plain read s",
    "plain CPU s",
    "engine CPU s",
    "plain peak MB",
    "engine peak MB",
];

/// A job that both sides do.
#[derive(Clone, Copy)]
struct Job {
    name: &'static str,
    programs: Programs,
    input: Input,
}

/// The programs of a job.
#[derive(Clone, Copy)]
struct Programs {
    plain: &'static str,
    engine: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Input {
    Rmat,
    Grid,
    Points,
}

/// One run of a program, and what it printed about itself.
struct Measured {
    run: Run,
    /// Seconds of reading.
    read: f64,
    /// Seconds of the loop and of building all that it needs.
    work: f64,
}

/// Both programs in turn; the engine's only where there is one.
struct Pair {
    plain: Measured,
    engine: Option<Measured>,
}

/// Runs the jobs that `wanted` names; returns whether all answers were right.
pub(super) fn run(setup: &Setup, wanted: &[&str]) -> Result<bool, String> {
    let jobs = JOBS.into_iter().filter(|job| wanted.contains(&job.name));
    table::of_jobs(&TITLES, jobs.map(|job| (job.name, job)), |job| job.compare(setup))
}

impl Job {
    /// Runs both programs in turn, after one run each that isn't measured but writes the whole answer to be compared;
    /// returns a row of the table.
    fn compare(self, setup: &Setup) -> Result<Vec<String>, String> {
        eprintln!("{}: warming up, comparing whole answers", self.name);
        let outputs = [setup.output("loop-plain")?, setup.output("loop-engine")?];
        self.pair(setup, Some([&outputs[0], &outputs[1]]))?;
        if self.programs.engine.is_some() {
            Lines::read(&outputs[0])?.same_sorted_numbers(&Lines::read(&outputs[1])?)?;
        }
        outputs.iter().try_for_each(|output| remove(output))?;
        let mut pairs = Vec::new();
        for number in 1..=setup.runs {
            let pair = self.pair(setup, None)?;
            let engine =
                pair.engine.as_ref().map_or_else(String::new, |engine| format!(", engine {:.3} s", engine.work));
            eprintln!("{}: run {number} of {}: plain {:.3} s{engine}", self.name, setup.runs, pair.plain.work);
            pairs.push(pair);
        }
        Ok(row(self.name, &pairs))
    }

    /// Runs both programs once; errors unless they print the same answer.
    fn pair(self, setup: &Setup, outputs: Option<[&Path; 2]>) -> Result<Pair, String> {
        let run = |program, side: usize| {
            let mut command = self.command(setup, program);
            outputs.map(|outputs| command.arg("--output").arg(outputs[side]));
            Measured::of(&mut command)
        };
        let plain = run(self.programs.plain, 0)?;
        let engine = self.programs.engine.map(|engine| run(engine, 1)).transpose()?;
        if let Some(engine) = &engine {
            let (plain, engine) = (plain.answer(), engine.answer());
            if !same_numbers(&plain, &engine) {
                return Err(format!("the answers differ: `{plain}` (plain), `{engine}` (engine)"));
            }
        }
        Ok(Pair { plain, engine })
    }

    /// A program of this job, on its input.
    fn command(self, setup: &Setup, program: &str) -> Command {
        let path = |name: &str| setup.data.join(FOLDER).join(name);
        let size = if setup.small { SMALL } else { FULL };
        let mut command = setup.program(program);
        command.arg("-p").arg(&setup.threads);
        let mut graph = |name: &str, vertices: u32| {
            command.arg("--edges").arg(path(name)).arg("--vertices").arg(vertices.to_string());
        };
        match self.input {
            Input::Rmat => graph("rmat.bin", size.rmat_vertices()),
            Input::Grid => graph("grid.bin", size.grid_vertices()),
            Input::Points => {
                command.arg("--points").arg(path("points.bin")).arg("--centers").arg(path("centers.csv"));
            }
        }
        command
    }
}

impl Measured {
    /// Runs a program.
    fn of(command: &mut Command) -> Result<Measured, String> {
        let run = measure(command)?;
        let seconds = |name: &str| {
            let value = run.value(name).and_then(|value| value.parse().ok());
            value.ok_or_else(|| format!("the program printed no {name}: `{}`", run.printed.trim_end()))
        };
        let (read, work) = (seconds("READ_S")?, seconds("LOOP_S")?);
        Ok(Measured { run, read, work })
    }

    /// The printed answer: all words but the program's figures.
    fn answer(&self) -> String {
        let is_figure = |word: &&str| ["READ_S=", "LOOP_S=", "PEAK_MB="].iter().any(|name| word.starts_with(name));
        let words = self.run.printed.split_whitespace().filter(|word| !is_figure(word));
        words.collect::<Vec<_>>().join(" ")
    }
}

fn row(name: &str, pairs: &[Pair]) -> Vec<String> {
    let plain = || pairs.iter().map(|pair| &pair.plain);
    let engine = || pairs.iter().filter_map(|pair| pair.engine.as_ref());
    let ratios = sorted(pairs.iter().filter_map(|pair| Some(pair.engine.as_ref()?.work / pair.plain.work)));
    let range = ratios.first().zip(ratios.last()).map(|(least, most)| format!("{least:.2}–{most:.2}"));
    let of_engine = |cell: String| if ratios.is_empty() { "-".to_string() } else { cell };
    let seconds = |values: Vec<f64>| format!("{:.3}", median(values));
    vec![
        name.to_string(),
        seconds(plain().map(|side| side.work).collect()),
        of_engine(seconds(engine().map(|side| side.work).collect())),
        of_engine(format!("{:.2}", median(ratios.iter().copied()))),
        of_engine(range.unwrap_or_default()),
        seconds(plain().map(|side| side.read).collect()),
        seconds(plain().map(|side| side.run.cpu).collect()),
        of_engine(seconds(engine().map(|side| side.run.cpu).collect())),
        megabytes(plain().map(|side| side.run.peak).max().unwrap_or(0)),
        of_engine(megabytes(engine().map(|side| side.run.peak).max().unwrap_or(0))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_what_is_printed_without_the_figures() -> Result<(), String> {
        let measured = Measured::of(Command::new("echo").arg("READ_S=0.5 LOOP_S=1.25 PEAK_MB=7 SUM=1 TOP=3:0.5"))?;
        assert_eq!((measured.read, measured.work), (0.5, 1.25));
        assert_eq!(measured.answer(), "SUM=1 TOP=3:0.5");
        assert!(Measured::of(Command::new("echo").arg("LOOP_S=1")).is_err_and(|message| message.contains("READ_S")));
        Ok(())
    }
}
