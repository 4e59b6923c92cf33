//! Writes the benchmark's inputs, or with `--loops` those of the loops; those already there are left as they are.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use flinkrs_bench::cli::{Args, Outcome, about, run};
use flinkrs_bench::files::write_once;
use flinkrs_bench::loops::input;
use flinkrs_bench::{records, text, tpch};

fn main() -> ExitCode {
    run("generate DIR [--small] [--loops]", generate)
}

/// How much of everything is made.
struct Size {
    name: &'static str,
    text_bytes: u64,
    records: usize,
    scale: f64,
    loops: input::Size,
}

const FULL: Size = Size { name: "full", text_bytes: 512_000_000, records: 10_000_000, scale: 1.0, loops: input::FULL };
const SMALL: Size = Size { name: "small", text_bytes: 8_000_000, records: 100_000, scale: 0.01, loops: input::SMALL };

fn generate(mut args: Args) -> Result<Outcome, String> {
    let size = if args.take_flag("--small") { SMALL } else { FULL };
    let loops = args.take_flag("--loops");
    args.at_most(1)?;
    let directory = Path::new(args.required(0)?);
    let start = Instant::now();
    fs::create_dir_all(directory).map_err(about(directory.display()))?;
    claim(directory, size.name)?;
    if loops {
        let rows = size.loops.write(&directory.join(input::FOLDER))?;
        return Ok(Outcome::since(start, rows));
    }
    let mut rows = write_once(directory.join("text.txt"), |out| text::write(out, size.text_bytes))?;
    rows += write_once(directory.join("records.bin"), |out| records::write(out, size.records))?;
    rows += tpch::write(&directory.join("tpch"), size.scale)?;
    Ok(Outcome::since(start, rows))
}

/// Notes the size in the directory, so that inputs of two sizes never get mixed.
fn claim(directory: &Path, size: &str) -> Result<(), String> {
    let path = directory.join("size");
    match fs::read_to_string(&path) {
        Ok(there) if there.trim() == size => Ok(()),
        Ok(there) => Err(format!("{} already holds the {} inputs", directory.display(), there.trim())),
        Err(_) => fs::write(&path, format!("{size}\n")).map_err(about(path.display())),
    }
}
