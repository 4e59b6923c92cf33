//! The cost model: bytes over the network, bytes to and from disk, and CPU, as a vector and a weighted total.
//!
//! A cost is work summed over all subtasks. Only what differs between alternatives is modelled with care; what user
//! functions cost is the same in all of them. The constants are nanoseconds on a machine of 2024; their relations
//! matter, not their values.

mod model;
#[cfg(test)]
mod tests;

pub(crate) use model::operator_cost;

use crate::options::OptimizerOptions;
use std::ops::{Add, AddAssign, Mul};

/// An estimated cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Bytes that cross an exchange.
    pub network: f64,
    /// Bytes written to and read from local disk.
    pub disk: f64,
    /// Nanoseconds of computing.
    pub cpu: f64,
}

impl Cost {
    /// One number to compare by: nanoseconds, with the options' weights.
    pub fn total(&self, options: &OptimizerOptions) -> f64 {
        self.network * options.network_weight + self.disk * options.disk_weight + self.cpu * options.cpu_weight
    }
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost { network: self.network + other.network, disk: self.disk + other.disk, cpu: self.cpu + other.cpu }
    }
}

impl Mul<f64> for Cost {
    type Output = Cost;

    fn mul(self, times: f64) -> Cost {
        Cost { network: self.network * times, disk: self.disk * times, cpu: self.cpu * times }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        *self = *self + other;
    }
}
