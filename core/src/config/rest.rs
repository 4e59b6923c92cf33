//! Options of the REST interface.

use crate::config::option::options;

options! {
    /// Host at which clients reach the REST interface.
    ADDRESS: String = "rest.address", "localhost";

    /// Port of the REST interface.
    PORT: u16 = "rest.port", "8081";

    /// Address on which it listens; other than loopback it needs a cluster secret or mutual TLS.
    BIND_ADDRESS: String = "rest.bind-address", "localhost";
}
