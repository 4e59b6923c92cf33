//! TPC-H query 3: unshipped orders of a market segment with the largest revenue.
//!
//! ```text
//! cargo run --release --example tpch_q3 -- \
//!     --customer customer.tbl --orders orders.tbl --lineitem lineitem.tbl --output q3.csv
//! ```
//!
//! Shows joins, columns that are never parsed, forwarded fields (the result of the second join lies where the
//! grouping needs it, so nothing is shuffled for it), and an ordered result.

use clap::Parser;
use flinkrs::prelude::*;
use flinkrs_examples::tpch::{Money, Revenue, data, revenue, table};
use std::path::PathBuf;

/// TPC-H query 3 with the validation parameters: segment BUILDING, date 1995-03-15.
#[derive(Parser)]
struct Args {
    /// `|`-separated files of the table customer [default: a built-in sample, as for the other tables]
    #[arg(long, requires_all = ["orders", "lineitem"])]
    customer: Option<PathBuf>,

    /// Files of the table orders
    #[arg(long, requires = "customer")]
    orders: Option<PathBuf>,

    /// Files of the table lineitem
    #[arg(long, requires = "customer")]
    lineitem: Option<PathBuf>,

    /// Where to write lines of `l_orderkey,revenue,o_orderdate,o_shippriority` [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let date: Date = Date::from_ymd(1995, 3, 15).expect("a day of the calendar");

        // (c_custkey, c_mktsegment)
        let customers: DataSet<(u64, Text)> = table(&env, &args.customer, &[0, 6], &data::CUSTOMERS)?;
        // (o_orderkey, o_custkey, o_orderdate, o_shippriority)
        let orders: DataSet<(u64, u64, Date, u32)> = table(&env, &args.orders, &[0, 1, 4, 7], &data::ORDERS)?;
        // (l_orderkey, l_extendedprice, l_discount, l_shipdate)
        let items: DataSet<(u64, Money, Money, Date)> = table(&env, &args.lineitem, &[0, 5, 6, 10], &data::LINEITEMS)?;

        let building = customers.filter(|customer| customer.1 == "BUILDING").with_selectivity(0.2);
        let open = orders.filter(move |order| order.2 < date).with_selectivity(0.49);
        let late = items.filter(move |item| item.3 > date).with_selectivity(0.54);

        let result: DataSet<(u64, Revenue, Date, u32)> = open
            .semi_join(&building)
            .on(f1, f0)
            .records()
            .with_selectivity(0.2)
            .join(&late)
            .on(f0, f0)
            .map(|order, item| (order.0, revenue(item.1, item.2), order.2, order.3))
            .with_forwarded_fields_first("f0; f2; f3")
            .group_by((f0, f2, f3))
            .sum(f1)
            .sort_partition((Desc(f1), Asc(f2)))
            .parallelism(1)
            .first(10);
        match &args.output {
            Some(path) => {
                let _ = result.write_csv(path).parallelism(1);
                env.execute("TPC-H query 3")?;
            }
            None => result
                .map(|(key, sum, date, priority)| format!("{key},{sum},{date},{priority}"))
                .parallelism(1)
                .print()?,
        }
        Ok(())
    })
}
