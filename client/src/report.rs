//! The report page: one self-contained file with plan, strategies, timings and skew.
//!
//! | module | what lives there |
//! |---|---|
//! | `plan` | the plan as its JSON describes it |
//! | `layout` | where each operator of the plan stands in the picture |
//! | `drawing` | the picture |
//! | `loops` | what each loop did, superstep by superstep |
//! | `vertices` | what each vertex did: counters, busy time, skew |
//! | `html` | escaping, numbers, the style sheet |

mod drawing;
mod html;
mod layout;
mod loops;
mod plan;
#[cfg(test)]
mod tests;
mod vertices;

use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_optimizer::OptimizedPlan;
use flinkrs_runtime::JobResult;
use html::{escape, seconds};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Checks that a page could be written, before a job runs for it; leaves no file that wasn't there.
pub(crate) fn check(file: &Path) -> Result<()> {
    let there = file.exists();
    let opened = fs::File::options().append(true).create(true).open(file);
    opened.map_err(|error| Error::io("write report", file, error))?;
    if !there {
        let _ = fs::remove_file(file);
    }
    Ok(())
}

/// Writes the page about a finished job.
pub(crate) fn write(file: &Path, plan: &OptimizedPlan, result: &JobResult) -> Result<()> {
    let page = page(&plan.explain_json(), &plan.explain(), result);
    fs::write(file, page).map_err(|error| Error::io("write report", file, error))
}

/// The page: `plan` is the plan's JSON, and `text` the same plan as text.
fn page(plan: &Value, text: &str, result: &JobResult) -> String {
    let name = escape(&result.name);
    let sections = [
        format!("<h1>{name}</h1>\n<p>Finished in {}.</p>\n", seconds(result.runtime)),
        "<h2>Plan</h2>\n".to_owned(),
        drawing::draw(&plan::nodes(plan)),
        format!("<details><summary>As text</summary><pre>{}</pre></details>\n", escape(text)),
        loops::describe(&result.loops),
        "<h2>Tasks</h2>\n".to_owned(),
        vertices::describe(&result.vertices),
        accumulators(&result.accumulators),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width\"/>\
         <title>{name}</title>\n<style>{}</style></head>\n<body>\n{}</body></html>\n",
        html::STYLE,
        sections.concat()
    )
}

fn accumulators(values: &BTreeMap<String, AccumulatorValue>) -> String {
    if values.is_empty() {
        return String::new();
    }
    let row = |(name, value): (&String, &AccumulatorValue)| {
        let value = escape(&value.to_string());
        format!("<tr><td>{}</td><td class=\"number\">{value}</td></tr>\n", escape(name))
    };
    let rows: String = values.iter().map(row).collect();
    format!("<h2>Accumulators</h2>\n<table><tr><th>name</th><th class=\"number\">value</th></tr>\n{rows}</table>\n")
}
