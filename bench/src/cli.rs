//! Command lines and the result line that every program prints.

use std::fmt::{self, Display};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

/// The positional arguments of a program.
#[derive(Debug)]
pub struct Args {
    usage: &'static str,
    values: Vec<String>,
}

impl Args {
    /// The argument at `index`, which must be there.
    pub fn required(&self, index: usize) -> Result<&str, String> {
        self.values.get(index).map(String::as_str).ok_or_else(|| self.usage())
    }

    /// The argument at `index` as a number of at least 1, or `default` where there is none.
    pub fn number_or<T: FromStr + PartialOrd + From<u8>>(&self, index: usize, default: T) -> Result<T, String> {
        let Some(text) = self.values.get(index) else { return Ok(default) };
        match text.parse::<T>() {
            Ok(number) if number >= T::from(1) => Ok(number),
            _ => Err(format!("`{text}` is not a number of at least 1; {}", self.usage())),
        }
    }

    /// The number of threads at `index`; without it, one per core.
    pub fn threads(&self, index: usize) -> Result<usize, String> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let threads = self.number_or(index, cores)?;
        if threads > 1024 {
            return Err(format!("{threads} threads are more than the limit of 1024"));
        }
        Ok(threads)
    }

    /// Takes the option `flag` out of the arguments and tells whether it was there.
    pub fn take_flag(&mut self, flag: &str) -> bool {
        let before = self.values.len();
        self.values.retain(|value| value != flag);
        self.values.len() < before
    }

    /// Refuses more than `count` arguments and unknown options.
    pub fn at_most(&self, count: usize) -> Result<(), String> {
        match self.values.iter().enumerate().find(|(index, value)| *index >= count || value.starts_with("--")) {
            Some((_, extra)) => Err(format!("unexpected argument `{extra}`; {}", self.usage())),
            None => Ok(()),
        }
    }

    fn usage(&self) -> String {
        format!("usage: {}", self.usage)
    }
}

/// What a program did: how long its job took and how many rows came out.
#[derive(Debug)]
pub struct Outcome {
    seconds: f64,
    rows: u64,
    checksum: Option<u64>,
}

impl Outcome {
    /// The outcome of a job that began at `start` and ends now.
    pub fn since(start: Instant, rows: usize) -> Outcome {
        Outcome { seconds: start.elapsed().as_secs_f64(), rows: rows as u64, checksum: None }
    }

    /// Adds a checksum to the result line, for results that are not written.
    pub fn with_checksum(self, checksum: u64) -> Outcome {
        Outcome { checksum: Some(checksum), ..self }
    }
}

/// The result line: `JOB_S=<seconds> ROWS=<rows>`, and a checksum, if any.
impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JOB_S={:.4} ROWS={}", self.seconds, self.rows)?;
        self.checksum.map_or(Ok(()), |checksum| write!(f, " CHECKSUM={checksum}"))
    }
}

/// Runs a program's body, prints its [`Outcome`], or the error as one line on stderr.
pub fn run(usage: &'static str, body: impl FnOnce(Args) -> Result<Outcome, String>) -> ExitCode {
    let args = Args { usage, values: std::env::args().skip(1).collect() };
    match body(args) {
        Ok(outcome) => {
            println!("{outcome}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            let program = usage.split(' ').next().unwrap_or(usage);
            eprintln!("{program}: {}", message.replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

/// Turns an error into a message that names what it happened to.
pub fn about<E: Display>(subject: impl Display) -> impl FnOnce(E) -> String {
    move |error| format!("{subject}: {error}")
}
