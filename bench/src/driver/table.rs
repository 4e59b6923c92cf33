//! Medians, units and tables.

/// The median; of an even number of values the mean of the two in the middle.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let values = sorted(values);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// The values from the smallest to the largest.
pub(super) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

/// A number of bytes in MB, a million each.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / 1e6)
}

/// A number with an M or k behind it when it is large.
pub(super) fn short(number: f64) -> String {
    match number {
        number if number >= 1e6 => format!("{:.2} M", number / 1e6),
        number if number >= 1e3 => format!("{:.1} k", number / 1e3),
        number => format!("{number:.0}"),
    }
}

/// Prints a table with the row of each job, made by `row`; returns whether all have worked.
///
/// The result is never an error: what goes wrong with a job stands in its row.
pub(super) fn of_jobs<'a, T>(
    titles: &[&str],
    jobs: impl IntoIterator<Item = (&'a str, T)>,
    mut row: impl FnMut(T) -> Result<Vec<String>, String>,
) -> Result<bool, String> {
    let (mut rows, mut all_right) = (Vec::new(), true);
    for (name, job) in jobs {
        match row(job) {
            Ok(row) => rows.push(row),
            Err(message) => {
                eprintln!("{name}: {message}");
                rows.push(vec![name.to_string(), "failed".to_string()]);
                all_right = false;
            }
        }
    }
    rows.iter_mut().for_each(|row| row.resize(titles.len(), String::new()));
    print(titles, &rows);
    Ok(all_right)
}

/// Prints rows under their titles: the first column to the left, the others to the right.
pub(super) fn print(titles: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        // The rule below the title takes three: `--:`.
        cells.chain([titles[column].chars().count(), 3]).max().unwrap_or(3)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("| {} |", padded.collect::<Vec<_>>().join(" | "))
    };
    println!("{}", line(titles.to_vec()));
    let rules: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(column, &width)| match column {
            0 => "-".repeat(width),
            _ => format!("{}:", "-".repeat(width - 1)),
        })
        .collect();
    println!("{}", line(rules.iter().map(String::as_str).collect()));
    for row in rows {
        println!("{}", line(row.iter().map(String::as_str).collect()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_units() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
        assert_eq!((short(999.0), short(1500.0), short(2.5e6)), ("999".into(), "1.5 k".into(), "2.50 M".into()));
        assert_eq!(megabytes(256_400_000), "256");
    }
}
