//! TPC-H query 10: customers who returned goods of a quarter, with the revenue lost.
//!
//! ```text
//! cargo run --release --example tpch_q10 -- --customer customer.tbl --orders orders.tbl \
//!     --lineitem lineitem.tbl --nation nation.tbl --output q10.csv
//! ```
//!
//! Shows an early aggregation, a join with a table so small that it is sent everywhere, and records as structs whose
//! fields are keys by name.

use clap::Parser;
use flinkrs::prelude::*;
use flinkrs_examples::tpch::{Money, Revenue, data, revenue, table};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// TPC-H query 10 with the validation parameters: the quarter from 1993-10-01.
#[derive(Parser)]
struct Args {
    /// `|`-separated files of the table customer [default: a built-in sample, as for the other tables]
    #[arg(long, requires_all = ["orders", "lineitem", "nation"])]
    customer: Option<PathBuf>,

    /// Files of the table orders
    #[arg(long, requires = "customer")]
    orders: Option<PathBuf>,

    /// Files of the table lineitem
    #[arg(long, requires = "customer")]
    lineitem: Option<PathBuf>,

    /// Files of the table nation
    #[arg(long, requires = "customer")]
    nation: Option<PathBuf>,

    /// Where to write lines of `c_custkey,c_name,revenue,c_acctbal,n_name,c_address,c_phone,c_comment`
    /// [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

#[derive(Clone, Serialize, Deserialize)]
struct Customer {
    custkey: u64,
    name: Text,
    address: Text,
    nationkey: u32,
    phone: Text,
    acctbal: Money,
    comment: Text,
}

#[derive(Clone, Serialize, Deserialize)]
struct Returned {
    custkey: u64,
    name: Text,
    revenue: Revenue,
    acctbal: Money,
    nation: Text,
    address: Text,
    phone: Text,
    comment: Text,
}

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let start = Date::from_ymd(1993, 10, 1).expect("a day of the calendar");
        let end = start.add_months(3);

        let customers: DataSet<Customer> = table(&env, &args.customer, &[0, 1, 2, 3, 4, 5, 7], &data::CUSTOMERS)?;
        // (o_orderkey, o_custkey, o_orderdate)
        let orders: DataSet<(u64, u64, Date)> = table(&env, &args.orders, &[0, 1, 4], &data::ORDERS)?;
        // (l_orderkey, l_extendedprice, l_discount, l_returnflag)
        let items: DataSet<(u64, Money, Money, char)> = table(&env, &args.lineitem, &[0, 5, 6, 8], &data::LINEITEMS)?;
        // (n_nationkey, n_name)
        let nations: DataSet<(u32, Text)> = table(&env, &args.nation, &[0, 1], &data::NATIONS)?;

        let quarter = orders.filter(move |order| start <= order.2 && order.2 < end).with_selectivity(0.04);
        let returned = items.filter(|item| item.3 == 'R').with_selectivity(0.25);
        let lost = quarter
            .join(&returned)
            .on(f0, f0)
            .map(|order, item| (order.1, revenue(item.1, item.2)))
            .group_by(f0)
            .sum(f1);
        let result = lost
            .join(&customers)
            .on(f0, field!(Customer, custkey))
            .map(|lost, customer| (lost.1, customer.clone()))
            .join_with_tiny(&nations)
            .on(|row: &(Revenue, Customer)| row.1.nationkey, f0)
            .map(|(revenue, customer), nation| Returned {
                custkey: customer.custkey,
                name: customer.name.clone(),
                revenue: *revenue,
                acctbal: customer.acctbal,
                nation: nation.1.clone(),
                address: customer.address.clone(),
                phone: customer.phone.clone(),
                comment: customer.comment.clone(),
            })
            .sort_partition((Desc(field!(Returned, revenue)), Asc(field!(Returned, custkey))))
            .parallelism(1)
            .first(20);
        match &args.output {
            Some(path) => {
                let _ = result.write_csv(path).parallelism(1);
                env.execute("TPC-H query 10")?;
            }
            None => result.map(|row| format!("{},{},{}", row.custkey, row.name, row.revenue)).parallelism(1).print()?,
        }
        Ok(())
    })
}
