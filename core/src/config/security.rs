//! Options for who may talk to a cluster.

use crate::config::option::options;
use std::path::PathBuf;

options! {
    /// File with the secret that all processes and clients of a cluster have to know; only its owner may read it.
    CLUSTER_SECRET_FILE: Option<PathBuf> = "security.cluster-secret-file", "";

    /// Whether processes of a cluster prove themselves to each other by certificates, and encrypt what they send.
    SSL_INTERNAL_ENABLED: bool = "security.ssl.internal.enabled", "false";

    /// PEM file with the certificate and the private key of a process of the cluster.
    SSL_INTERNAL_KEYSTORE: Option<PathBuf> = "security.ssl.internal.keystore", "";

    /// PEM file with the certificates that sign those of the cluster's processes.
    SSL_INTERNAL_TRUSTSTORE: Option<PathBuf> = "security.ssl.internal.truststore", "";

    /// Whether the REST interface is encrypted.
    SSL_REST_ENABLED: bool = "security.ssl.rest.enabled", "false";

    /// Whether its clients have to prove themselves by certificates.
    SSL_REST_AUTHENTICATION: bool = "security.ssl.rest.authentication-enabled", "false";

    /// PEM file with the certificate and the private key of the REST interface, or of its client.
    SSL_REST_KEYSTORE: Option<PathBuf> = "security.ssl.rest.keystore", "";

    /// PEM file with the certificates that sign those of the other side.
    SSL_REST_TRUSTSTORE: Option<PathBuf> = "security.ssl.rest.truststore", "";
}
