//! Reads Markdown just far enough: its links, and tables with a known head.

use std::path::{Path, PathBuf};

/// The lines of a text that are prose: code blocks are empty lines, code in a line is cut out.
fn prose(text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        if fence || in_block {
            lines.push(String::new());
        } else {
            lines.push(line.split('`').step_by(2).collect::<Vec<_>>().join(" "));
        }
    }
    lines
}

/// The targets of all links and pictures, each with its line, counted from 1.
pub fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (i, line) in prose(text).iter().enumerate() {
        for rest in line.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            found.push((i + 1, target.split_whitespace().next().unwrap_or_default().to_owned()));
        }
        // A reference definition: `[name]: target`.
        if let Some((name, target)) = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]:"))
            && !name.contains(']')
        {
            found.push((i + 1, target.trim().to_owned()));
        }
    }
    found
}

/// The file that a link in `file` points to, or `None` when it leads elsewhere: to the web, or within the page.
pub fn linked_file(file: &Path, target: &str) -> Option<PathBuf> {
    let elsewhere = target.contains("://") || target.starts_with("mailto:") || target.starts_with('#');
    if elsewhere {
        return None;
    }
    let path = target.split('#').next().unwrap_or_default();
    Some(file.parent().unwrap_or(Path::new("")).join(path.trim_matches(['<', '>'])))
}

/// The rows of the table whose head begins with `head`, cell by cell; `None` when there is no such table.
pub fn table(text: &str, head: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut lines = text.lines().map(cells);
    lines.find(|cells| cells.len() >= head.len() && cells.iter().zip(head).all(|(cell, head)| cell == head))?;
    Some(lines.skip(1).take_while(|cells| !cells.is_empty()).collect())
}

fn cells(line: &str) -> Vec<String> {
    let Some(line) = line.trim().strip_prefix('|') else { return Vec::new() };
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_outside_of_code() {
        let text = "[a](b.md), ![c](d.svg \"title\")\n`[x](y)`\n```\n[x](y)\n```\n[ref]: e.md#part\n";
        let found = [(1, "b.md"), (1, "d.svg"), (6, "e.md#part")].map(|(line, target)| (line, target.to_owned()));
        assert_eq!(links(text), found);
        assert_eq!(linked_file(Path::new("docs/a.md"), "../b.md#c"), Some(PathBuf::from("docs/../b.md")));
        assert_eq!(linked_file(Path::new("a.md"), "https://example.org"), None);
    }

    #[test]
    fn reads_a_table_by_its_head() {
        let text = "| x | y |\n|--|--|\n| 1 | 2 |\n\n| crate | may |\n|---|---|\n| `a` | b, c |\n| d | |\n\nmore";
        let rows = table(text, &["crate", "may"]).expect("it is there");
        assert_eq!(rows, [["`a`", "b, c"], ["d", ""]]);
        assert_eq!(table(text, &["z"]), None);
    }
}
