//! The TPC-H tables that the queries read, as `dbgen` writes them.

use std::fmt::Display;
use std::fs;
use std::io::{Result, Write};
use std::path::Path;

use tpchgen::generators::{CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator};

use crate::cli::about;
use crate::files::write_once;

/// A table's file name and its number of columns.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The file's name in the directory of the tables.
    pub file: &'static str,
    /// The number of columns.
    pub columns: usize,
}

/// The line items.
pub const LINEITEM: Table = Table { file: "lineitem.tbl", columns: 16 };
/// The orders.
pub const ORDERS: Table = Table { file: "orders.tbl", columns: 9 };
/// The customers.
pub const CUSTOMER: Table = Table { file: "customer.tbl", columns: 8 };
/// The nations.
pub const NATION: Table = Table { file: "nation.tbl", columns: 4 };

/// Writes the tables of a scale factor that are not yet in `directory`; returns the number of rows written.
pub fn write(directory: &Path, scale: f64) -> std::result::Result<usize, String> {
    fs::create_dir_all(directory).map_err(about(directory.display()))?;
    let path = |table: Table| directory.join(table.file);
    let mut rows = 0;
    rows += write_once(path(NATION), |out| lines(out, NationGenerator::new(scale, 1, 1).iter()))?;
    rows += write_once(path(CUSTOMER), |out| lines(out, CustomerGenerator::new(scale, 1, 1).iter()))?;
    rows += write_once(path(ORDERS), |out| lines(out, OrderGenerator::new(scale, 1, 1).iter()))?;
    rows += write_once(path(LINEITEM), |out| lines(out, LineItemGenerator::new(scale, 1, 1).iter()))?;
    Ok(rows)
}

fn lines(out: &mut impl Write, rows: impl Iterator<Item = impl Display>) -> Result<usize> {
    let mut count = 0;
    for row in rows {
        writeln!(out, "{row}")?;
        count += 1;
    }
    Ok(count)
}
