//! Relational analysis of web logs: high-ranked pages on given subjects that nobody visited in a year.
//!
//! ```text
//! cargo run --release --example weblog_analysis -- --documents D --ranks R --visits V --output O
//! ```
//!
//! In SQL:
//!
//! ```text
//! SELECT r.rank, r.url, r.avgDuration FROM documents d JOIN ranks r ON d.url = r.url
//! WHERE CONTAINS(d.text, keywords) AND r.rank > 40
//!   AND NOT EXISTS (SELECT * FROM visits v WHERE v.url = d.url AND YEAR(v.date) = 2007)
//! ```
//!
//! Shows a join and an anti join on one key: the second join finds its first input partitioned already.

use clap::Parser;
use flinkrs::prelude::*;
use std::path::PathBuf;

/// High-ranked pages with all keywords that nobody visited in 2007.
#[derive(Parser)]
struct Args {
    /// `|`-separated `url|text` [default: built-in data, as for the other inputs]
    #[arg(long, requires_all = ["ranks", "visits"])]
    documents: Option<PathBuf>,

    /// `|`-separated `rank|url|average duration`
    #[arg(long, requires = "documents")]
    ranks: Option<PathBuf>,

    /// `|`-separated `source ip|url|date|…`
    #[arg(long, requires = "documents")]
    visits: Option<PathBuf>,

    /// Where to write lines of `rank,url,average duration` [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

const KEYWORDS: [&str; 2] = [" editors ", " oscillations "];
const LEAST_RANK: u32 = 40;
const YEAR: i32 = 2007;

const DOCUMENTS: [&str; 4] = [
    "url_1|the editors of oscillations wrote about editors and oscillations again",
    "url_2|some editors saw strong oscillations in the market",
    "url_3|nothing about the subject",
    "url_4|both editors and oscillations occur in here",
];
const RANKS: [&str; 4] = ["30|url_1|43", "82|url_2|39", "90|url_3|12", "53|url_4|7"];
const VISITS: [&str; 3] = [
    "112.99.215.248|url_2|2007-5-6|0.1|Mozilla",
    "93.104.17.1|url_4|2006-1-12|0.3|Mozilla",
    "17.1.2.3|url_3|2007-12-1|0.2|Lynx",
];

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let documents: DataSet<(Text, Text)> = input(&env, &args.documents, &[0, 1], &DOCUMENTS)?;
        let ranks: DataSet<(u32, Text, u32)> = input(&env, &args.ranks, &[0, 1, 2], &RANKS)?;
        let visits: DataSet<(Text, Text)> = input(&env, &args.visits, &[1, 2], &VISITS)?;

        let on_subject = documents
            .filter(|(_, text)| KEYWORDS.iter().all(|word| text.contains(word)))
            .name("Keywords")
            .with_selectivity(0.15)
            .map(|(url, _)| (url,))
            .with_forwarded_fields("f0");
        let high = ranks.filter(|page| page.0 > LEAST_RANK).name("Rank").with_selectivity(0.25);
        let visited = visits
            .filter(|(_, date)| date.split('-').next().and_then(|year| year.parse().ok()) == Some(YEAR))
            .name("Year")
            .with_selectivity(0.2)
            .map(|(url, _)| (url,))
            .with_forwarded_fields("f0");

        let found = on_subject.join(&high).on(f0, f1).project_second().anti_join(&visited).on(f1, f0).records();

        match &args.output {
            Some(path) => {
                found.write_csv(path);
                env.execute("WebLogAnalysis")?;
            }
            None => found.map(|(rank, url, duration)| format!("{rank},{url},{duration}")).print()?,
        }
        Ok(())
    })
}

fn input<T: Data>(
    env: &ExecutionEnvironment,
    files: &Option<PathBuf>,
    columns: &[usize],
    sample: &[&str],
) -> Result<DataSet<T>> {
    let path = files.clone().unwrap_or_default();
    let format = CsvInput::<T>::new(path.as_path()).delimiter(b'|').quote(None).columns(columns);
    Ok(match files {
        Some(_) => env.create_input(format),
        None => env.from_collection(format.parse(&sample.join("\n"))?),
    })
}
