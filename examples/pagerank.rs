//! Ranks pages by the links between them: a bulk iteration with a convergence criterion.
//!
//! ```text
//! cargo run --release --example pagerank -- --links links.tsv --iterations 20 --epsilon 0.001 --output ranks
//! ```
//!
//! In each superstep a page hands its rank on to the pages it links to, in equal shares:
//! `r(v) = 0.15 / n + 0.85 · Σ r(u) / outdegree(u)`, starting with `1 / n`. The rank of pages without links is not
//! handed on. The links are grouped by page once, before the first superstep; the optimizer keeps them where the ranks
//! are, so that only partial sums of shares travel.

use clap::Parser;
use flinkrs::prelude::*;
use std::path::PathBuf;

/// Ranks pages by the links between them.
#[derive(Parser)]
struct Args {
    /// Lines with a page each [default: all that occur in a link]
    #[arg(long, requires = "links")]
    pages: Option<PathBuf>,

    /// Lines of `from,to`, separated by comma, tab or space [default: built-in links]
    #[arg(long)]
    links: Option<PathBuf>,

    /// Supersteps at most
    #[arg(long, default_value_t = 20)]
    iterations: u32,

    /// Ends when the changes of all ranks together are less than this
    #[arg(long, default_value_t = 0.0)]
    epsilon: f64,

    /// Where to write lines of `page,rank` [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

type Link = (u64, u64);

const SAMPLE: [Link; 8] = [(1, 2), (1, 3), (2, 3), (3, 1), (4, 3), (4, 5), (5, 4), (6, 6)];

/// How much of its rank a page hands on.
const DAMPING: f64 = 0.85;

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let links: DataSet<Link> = match &args.links {
            Some(path) => env.create_input(CsvInput::new(path.as_path()).any_separator()).name("links"),
            None => env.from_collection(SAMPLE),
        };
        let pages: DataSet<u64> = match &args.pages {
            Some(path) => env
                .create_input(CsvInput::<(u64,)>::new(path.as_path()).any_separator())
                .name("pages")
                .map(|(page,)| page)
                .distinct(),
            None => links
                .flat_map(|(from, to), out| {
                    out.collect(from);
                    out.collect(to);
                })
                .distinct()
                .name("Pages"),
        };
        let ranks = pagerank(&pages, &links, args.iterations, args.epsilon);
        match &args.output {
            Some(path) => {
                ranks.write_csv(path);
                env.execute("PageRank")?;
            }
            None => ranks.map(|(page, rank)| format!("{page},{rank}")).print()?,
        }
        Ok(())
    })
}

/// A page's rank after a superstep, and before it.
type Ranked = (u64, f64);

/// How many pages there are: no record counts none.
fn counted(context: &RuntimeContext) -> Result<f64> {
    Ok(context.broadcast_set::<u64>("count")?.first().map_or(0.0, |count| *count as f64))
}

fn pagerank(pages: &DataSet<u64>, links: &DataSet<Link>, iterations: u32, epsilon: f64) -> DataSet<Ranked> {
    let count = pages.map(|_| 1u64).reduce(|sum, next| *sum += next).name("Count");
    let start = pages
        .map_rich(|context| {
            let count = counted(context)?;
            Ok(move |page| (page, 1.0 / count))
        })
        .with_broadcast_set(&count, "count")
        .with_forwarded_fields("*->0")
        .name("Start");

    let step = start.iterate(iterations);
    // Links from a page have its key; the share of each is divided by their number where they lie together.
    let degrees = links.map(|(from, _)| (from, 1u32)).group_by(f0).sum(f1).name("Degrees");
    let targets = links
        .join(&degrees)
        .on(f0, f0)
        .map(|link, degree| (link.0, link.1, degree.1))
        .with_forwarded_fields_first("f0")
        .name("Targets");
    let shares = step
        .join(&targets)
        .on(f0, f0)
        .map(|page, (_, to, degree)| (*to, page.1 / f64::from(*degree)))
        .name("Shares")
        .group_by(f0)
        .sum(f1);
    let next = step
        .left_outer_join(&shares)
        .on(f0, f0)
        .map(|page, sum| (page.0, page.1, sum.map_or(0.0, |sum| sum.1)))
        .with_forwarded_fields_first("f0")
        .name("Sum")
        .map_rich(|context| {
            let count = counted(context)?;
            let change = context.double_aggregator("change")?;
            Ok(move |(page, before, sum): (u64, f64, f64)| {
                let rank = (1.0 - DAMPING) / count + DAMPING * sum;
                change.add_float((rank - before).abs());
                (page, rank)
            })
        })
        .with_broadcast_set(&count, "count")
        .with_forwarded_fields("f0")
        .name("Rank");
    step.converge_when(
        move |_, sums| matches!(sums.get("change"), Some(AccumulatorValue::Double(change)) if *change < epsilon),
    )
    .close_with(&next)
    .name("PageRank")
}
