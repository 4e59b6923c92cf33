//! TPC-H query 10 by hand: the customers who returned the most revenue of one quarter's orders.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use flinkrs_bench::cli::{Args, Outcome, about, run};
use flinkrs_bench::csv::{money4, push_text};
use flinkrs_bench::files::create;
use flinkrs_bench::tbl::{date, hundredths, number, scan};
use flinkrs_bench::tpch::{CUSTOMER, LINEITEM, NATION, ORDERS};
use flinkrs_bench::{Map, map};

const FIRST_DAY: u32 = 19931001;
const DAY_AFTER: u32 = 19940101;
const LIMIT: usize = 20;

fn main() -> ExitCode {
    run("plain_q10 TPCH_DIR OUT [THREADS]", query)
}

/// A customer with the revenue of the items returned, in 1/10 000; texts as in the table.
struct Customer {
    revenue: i64,
    key: u64,
    name: &'static [u8],
    balance: &'static [u8],
    nation: &'static [u8],
    address: &'static [u8],
    phone: &'static [u8],
    comment: &'static [u8],
}

fn query(args: Args) -> Result<Outcome, String> {
    args.at_most(3)?;
    let (directory, output, threads) = (Path::new(args.required(0)?), args.required(1)?, args.threads(2)?);
    let start = Instant::now();
    let orders = orders(directory, threads)?;
    let revenues = revenues(directory, threads, &orders)?;
    let mut best = customers(directory, threads, &revenues)?;
    best.sort_unstable_by_key(|customer| (-customer.revenue, customer.key));
    best.truncate(LIMIT);
    write(output, &best)?;
    Ok(Outcome::since(start, best.len()))
}

/// The customers of the quarter's orders, by order.
fn orders(directory: &Path, threads: usize) -> Result<Map<u64, u64>, String> {
    let path = directory.join(ORDERS.file);
    let found = scan(&path, ORDERS.columns, threads, |orders: &mut Vec<(u64, u64)>, row| {
        if (FIRST_DAY..DAY_AFTER).contains(&date(row.column(4))?) {
            orders.push((number(row.column(0))?, number(row.column(1))?));
        }
        Some(())
    })?;
    let mut orders = map(found.iter().map(Vec::len).sum());
    orders.extend(found.into_iter().flatten());
    Ok(orders)
}

/// The revenue of the returned items of `orders`, by customer.
fn revenues(directory: &Path, threads: usize, orders: &Map<u64, u64>) -> Result<Map<u64, i64>, String> {
    let path = directory.join(LINEITEM.file);
    let found = scan(&path, LINEITEM.columns, threads, |revenues: &mut Map<u64, i64>, row| {
        if row.column(8) != b"R" {
            return Some(());
        }
        if let Some(&customer) = orders.get(&number(row.column(0))?) {
            let revenue = hundredths(row.column(5))? * (100 - hundredths(row.column(6))?);
            *revenues.entry(customer).or_insert(0) += revenue;
        }
        Some(())
    })?;
    let mut all = map(found.iter().map(Map::len).sum());
    for (customer, revenue) in found.into_iter().flatten() {
        *all.entry(customer).or_insert(0) += revenue;
    }
    Ok(all)
}

/// The customers with revenue.
fn customers(directory: &Path, threads: usize, revenues: &Map<u64, i64>) -> Result<Vec<Customer>, String> {
    type Nations = Vec<(u64, &'static [u8])>;
    let found = scan(&directory.join(NATION.file), NATION.columns, 1, |nations: &mut Nations, row| {
        nations.push((number(row.column(0))?, row.column(1)));
        Some(())
    })?;
    let nations: Map<u64, &'static [u8]> = found.into_iter().flatten().collect();
    let path = directory.join(CUSTOMER.file);
    let found = scan(&path, CUSTOMER.columns, threads, |customers: &mut Vec<Customer>, row| {
        let key = number(row.column(0))?;
        let Some(&revenue) = revenues.get(&key) else { return Some(()) };
        let Some(&nation) = nations.get(&number(row.column(3))?) else { return Some(()) };
        customers.push(Customer {
            revenue,
            key,
            name: row.column(1),
            balance: row.column(5),
            nation,
            address: row.column(2),
            phone: row.column(4),
            comment: row.column(7),
        });
        Some(())
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn write(path: &str, best: &[Customer]) -> Result<(), String> {
    let mut out = create(path)?;
    for customer in best {
        let mut line = customer.key.to_string().into_bytes();
        let revenue = money4(customer.revenue);
        let Customer { name, balance, nation, address, phone, comment, .. } = customer;
        for field in [name, revenue.as_bytes(), balance, nation, address, phone, comment] {
            line.push(b',');
            push_text(&mut line, field);
        }
        line.push(b'\n');
        out.write_all(&line).map_err(about(path))?;
    }
    out.flush().map_err(about(path))
}
