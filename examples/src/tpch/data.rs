//! A handful of rows of each table, in dbgen's form, made so that both queries have an answer.

/// Rows of customer.
pub const CUSTOMERS: [&str; 3] = [
    "1|Customer#000000001|IVhzIApeRb ot,c,E|15|25-989-741-2988|711.56|BUILDING|to the even, regular platelets|",
    "2|Customer#000000002|XSTf4,NCwDVaWNe6tEgvwfmRchLXak|13|23-768-687-3665|121.65|AUTOMOBILE|deposits eat slyly|",
    "3|Customer#000000003|MG9kdTD2WBHm|1|11-719-748-3364|7498.12|BUILDING|special packages wake|",
];

/// Rows of orders.
pub const ORDERS: [&str; 4] = [
    "1|1|O|1000.00|1995-03-01|5-LOW|Clerk#000000001|0|waiting|",
    "2|3|O|2000.00|1995-03-10|1-URGENT|Clerk#000000002|0|waiting too|",
    "3|3|F|500.00|1993-10-14|5-LOW|Clerk#000000003|0|long gone|",
    "4|2|F|800.00|1993-12-31|4-NOT SPECIFIED|Clerk#000000004|0|returned|",
];

/// Rows of lineitem.
pub const LINEITEMS: [&str; 5] = [
    "1|155190|7706|1|17|1000.00|0.04|0.02|N|O|1995-03-20|1995-02-12|1995-03-22|DELIVER IN PERSON|TRUCK|a|",
    "2|67310|7311|2|36|1500.00|0.10|0.06|N|O|1995-04-12|1995-02-28|1995-04-20|TAKE BACK RETURN|MAIL|b|",
    "2|63700|3701|3|8|500.00|0.00|0.02|N|O|1995-03-29|1995-03-05|1995-03-31|TAKE BACK RETURN|REG AIR|c|",
    "3|2132|4633|4|28|500.00|0.05|0.06|R|F|1993-11-21|1993-11-30|1993-12-16|NONE|AIR|d|",
    "4|24027|1534|5|24|800.00|0.20|0.04|R|F|1994-01-30|1994-02-07|1994-03-03|NONE|FOB|e|",
];

/// Rows of nation.
pub const NATIONS: [&str; 3] = ["1|ARGENTINA|1|al foxes|", "13|JORDAN|4|ic deposits|", "15|MOROCCO|0|rns|"];
