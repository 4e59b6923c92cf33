//! Reads `flinkrs.toml`: keys may be written in sections, dotted, or quoted as a whole.

use crate::config::{Origin, Setting};
use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The name of the file that is looked for.
pub const FILE_NAME: &str = "flinkrs.toml";

/// A larger file is a mistake.
const MOST_BYTES: u64 = 1 << 20;

/// The file to read: `given` (option `--config`), else that in `folder` (`FLINKRS_CONF_DIR`), else that in the working
/// directory if there is one. Of the first two nothing is checked: [`Configuration::load`](super::Configuration::load)
/// says what is wrong with them.
pub fn find_file(given: Option<&Path>, folder: Option<&Path>) -> Option<PathBuf> {
    let named = given.map(Path::to_path_buf).or_else(|| folder.map(|folder| folder.join(FILE_NAME)));
    named.or_else(|| Some(PathBuf::from(FILE_NAME)).filter(|file| file.exists()))
}

/// What is set in a file, in the order of its lines.
pub(super) fn settings(path: &Path) -> Result<Vec<Setting>> {
    let bytes = fs::metadata(path).map_err(|e| Error::io("read", path, e))?.len();
    if bytes > MOST_BYTES {
        return Err(Error::usage(format!("{}: {bytes} bytes; at most {MOST_BYTES} are read", path.display())));
    }
    let text = fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        Error::usage(format!("{}: {}", Origin::File(path.to_path_buf(), line), error.message()))
    })?;
    let mut found = Vec::new();
    flatten(table.get_ref(), "", &mut found);
    found.sort_by_key(|(at, _, _)| *at);
    let mut settings: Vec<Setting> = Vec::with_capacity(found.len());
    for (at, key, text_of) in found {
        let origin = Origin::File(path.to_path_buf(), line_of(&text, at));
        if settings.iter().any(|other| other.key == key) {
            return Err(Error::usage(format!("{origin}: {key} is set a second time")));
        }
        let allowed = "text, a number, true, false or a list of them";
        let value = text_of.ok_or_else(|| Error::usage(format!("{origin}: {key} has to be {allowed}")))?;
        settings.push(Setting { key, text: value, origin });
    }
    Ok(settings)
}

/// Where a value stands, its whole key, and its text if it has one.
type Found = (usize, String, Option<String>);

fn flatten(table: &DeTable<'_>, above: &str, found: &mut Vec<Found>) {
    for (key, value) in table {
        let whole = if above.is_empty() { key.get_ref().to_string() } else { format!("{above}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) => flatten(inner, &whole, found),
            scalar_or_list => found.push((key.span().start, whole, text_of(scalar_or_list))),
        }
    }
}

/// A value as it would be written after `-D KEY=`.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Array(values) => {
            let texts: Option<Vec<String>> = values.iter().map(|value| text_of(value.get_ref())).collect();
            texts.map(|texts| texts.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}
