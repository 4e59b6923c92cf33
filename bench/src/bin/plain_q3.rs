//! TPC-H query 3 by hand: the unshipped orders of one market segment with the highest revenue.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use flinkrs_bench::cli::{Args, Outcome, about, run};
use flinkrs_bench::csv::{date as date_text, money4};
use flinkrs_bench::files::create;
use flinkrs_bench::tbl::{Row, date, hundredths, number, scan};
use flinkrs_bench::tpch::{CUSTOMER, LINEITEM, ORDERS};
use flinkrs_bench::{Hasher, Map, hasher, map};
use hashbrown::HashSet;

const SEGMENT: &[u8] = b"BUILDING";
const DAY: u32 = 19950315;
const LIMIT: usize = 10;

fn main() -> ExitCode {
    run("plain_q3 TPCH_DIR OUT [THREADS]", query)
}

/// An order of the segment before the day.
struct Order {
    key: u64,
    date: u32,
    priority: u64,
    /// In 1/10 000; `None` until a line item counts.
    revenue: Option<i64>,
}

fn query(args: Args) -> Result<Outcome, String> {
    args.at_most(3)?;
    let (directory, output, threads) = (Path::new(args.required(0)?), args.required(1)?, args.threads(2)?);
    let start = Instant::now();
    let customers = customers(directory, threads)?;
    let (mut orders, places) = orders(directory, threads, &customers)?;
    for revenues in revenues(directory, threads, &places)? {
        for (place, revenue) in revenues.into_iter().enumerate() {
            if let Some(revenue) = revenue {
                *orders[place].revenue.get_or_insert(0) += revenue;
            }
        }
    }
    let mut best: Vec<(i64, &Order)> =
        orders.iter().filter_map(|order| order.revenue.map(|revenue| (revenue, order))).collect();
    best.sort_unstable_by_key(|(revenue, order)| (-revenue, order.date, order.key));
    best.truncate(LIMIT);
    write(output, &best)?;
    Ok(Outcome::since(start, best.len()))
}

/// The keys of the segment's customers.
fn customers(directory: &Path, threads: usize) -> Result<HashSet<u64, Hasher>, String> {
    let found = scan(&directory.join(CUSTOMER.file), CUSTOMER.columns, threads, |keys: &mut Vec<u64>, row| {
        if row.column(6) == SEGMENT {
            keys.push(number(row.column(0))?);
        }
        Some(())
    })?;
    let mut all = HashSet::with_capacity_and_hasher(found.iter().map(Vec::len).sum(), hasher());
    all.extend(found.into_iter().flatten());
    Ok(all)
}

/// The orders of `customers` before the day, and the place of each by its key.
fn orders(
    directory: &Path,
    threads: usize,
    customers: &HashSet<u64, Hasher>,
) -> Result<(Vec<Order>, Map<u64, u32>), String> {
    let wanted = |row: Row| Some((date(row.column(4))?, number(row.column(1))?));
    let found = scan(&directory.join(ORDERS.file), ORDERS.columns, threads, |orders: &mut Vec<Order>, row| {
        let (date, customer) = wanted(row)?;
        if date < DAY && customers.contains(&customer) {
            orders.push(Order { key: number(row.column(0))?, date, priority: number(row.column(7))?, revenue: None });
        }
        Some(())
    })?;
    let orders: Vec<Order> = found.into_iter().flatten().collect();
    let mut places = map(orders.len());
    for (place, order) in (0..).zip(&orders) {
        places.insert(order.key, place);
    }
    Ok((orders, places))
}

/// For each thread, the revenue of the line items shipped after the day, by the order's place.
fn revenues(directory: &Path, threads: usize, places: &Map<u64, u32>) -> Result<Vec<Vec<Option<i64>>>, String> {
    let path = directory.join(LINEITEM.file);
    scan(&path, LINEITEM.columns, threads, |revenues: &mut Vec<Option<i64>>, row| {
        if date(row.column(10))? <= DAY {
            return Some(());
        }
        if let Some(&place) = places.get(&number(row.column(0))?) {
            revenues.resize(places.len(), None);
            let revenue = hundredths(row.column(5))? * (100 - hundredths(row.column(6))?);
            *revenues[place as usize].get_or_insert(0) += revenue;
        }
        Some(())
    })
}

fn write(path: &str, best: &[(i64, &Order)]) -> Result<(), String> {
    let mut out = create(path)?;
    for (revenue, order) in best {
        writeln!(out, "{},{},{},{}", order.key, money4(*revenue), date_text(order.date), order.priority)
            .map_err(about(path))?;
    }
    out.flush().map_err(about(path))
}
