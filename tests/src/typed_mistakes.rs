//! Mistakes that the compiler finds in a program, each as a piece of code that must not compile beside one that does.
//!
//! Keys of joins and co-groups have one type:
//!
//! ```
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let (users, visits) = (env.from_collection([(1u64, 2u32)]), env.from_collection([(1u64, 3i64)]));
//! let _ = users.join(&visits).on(f0, f0).pairs();
//! let _ = users.co_group(&visits).on(f0, f0).with(|_, _, out| out.collect(1u64));
//! # Ok::<(), Error>(())
//! ```
//!
//! ```compile_fail,E0271
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let (users, visits) = (env.from_collection([(1u64, 2u32)]), env.from_collection([(1u64, 3i64)]));
//! let _ = users.join(&visits).on(f0, f1).pairs();
//! # Ok::<(), Error>(())
//! ```
//!
//! ```compile_fail,E0271
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let (users, visits) = (env.from_collection([(1u64, 2u32)]), env.from_collection([(1u64, 3i64)]));
//! let _ = users.co_group(&visits).on(f1, f0).with(|_, _, out| out.collect(1u64));
//! # Ok::<(), Error>(())
//! ```
//!
//! Numbers are summed, texts are not:
//!
//! ```
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1u64, 2u64)]).group_by(f0).sum(f1);
//! let _ = env.from_collection([(1u64, String::new())]).group_by(f0).max(f1);
//! # Ok::<(), Error>(())
//! ```
//!
//! ```compile_fail,E0277
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1u64, String::new())]).group_by(f0).sum(f1);
//! # Ok::<(), Error>(())
//! ```
//!
//! ```compile_fail,E0277
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1u64, String::new())]).aggregate((Min(f0), Sum(f1)));
//! # Ok::<(), Error>(())
//! ```
//!
//! A float is a key, and an order, in `Total` only:
//!
//! ```
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let prices = env.from_collection([(1.5f64, 2u64)]);
//! let _ = prices.group_by(|r: &(f64, u64)| Total::new(r.0)).sum(f1);
//! # Ok::<(), Error>(())
//! ```
//!
//! ```compile_fail,E0277
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1.5f64, 2u64)]).group_by(f0).sum(f1);
//! # Ok::<(), Error>(())
//! ```
//!
//! ```compile_fail,E0277
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1.5f64, 2u64)]).distinct();
//! # Ok::<(), Error>(())
//! ```
//!
//! A pair has the positions 0 and 1:
//!
//! ```
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1u64, 2u64)]).group_by(f1).sum(f0);
//! # Ok::<(), Error>(())
//! ```
//!
//! ```compile_fail,E0277
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1u64, 2u64)]).group_by(f5).sum(f0);
//! # Ok::<(), Error>(())
//! ```
//!
//! ```compile_fail,E0277
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1u64, 2u64)]).group_by(f0).sum(f5);
//! # Ok::<(), Error>(())
//! ```
//!
//! Sets of different records have no union, and a field is no order without a direction:
//!
//! ```compile_fail,E0308
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1u64, 2u64)]).union(&env.from_collection([1u64]));
//! # Ok::<(), Error>(())
//! ```
//!
//! ```compile_fail,E0277
//! use flinkrs::prelude::*;
//! let env = LocalEnvironment::new().create()?;
//! let _ = env.from_collection([(1u64, 2u64)]).sort_partition(f0);
//! # Ok::<(), Error>(())
//! ```
