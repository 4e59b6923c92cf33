//! What the TPC-H examples share: money, the tables' files, and a sample of them.

use flinkrs::prelude::*;
use std::path::PathBuf;

pub mod data;

/// An amount with two decimals, exact.
pub type Money = Decimal<2>;

/// A price times a discount: four decimals, exact.
pub type Revenue = Decimal<4>;

/// The price after the discount.
pub fn revenue(price: Money, discount: Money) -> Revenue {
    Decimal(price.0 * (100 - discount.0))
}

/// Columns of a table, out of `|`-separated files as dbgen writes them, or out of the sample's lines.
pub fn table<T: Data>(
    env: &ExecutionEnvironment,
    files: &Option<PathBuf>,
    columns: &[usize],
    sample: &[&str],
) -> Result<DataSet<T>> {
    let path = files.clone().unwrap_or_default();
    let format = CsvInput::<T>::new(path.as_path()).delimiter(b'|').quote(None).columns(columns);
    if files.is_none() {
        return Ok(env.from_collection(format.parse(&sample.join("\n"))?).name("sample"));
    }
    let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(env.create_input(format).name(&name))
}
