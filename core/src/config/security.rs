//! Options for who may talk to a cluster, and as whom Hadoop is asked.

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

    /// File with the Kerberos keys of the principal as whom Hadoop is asked; the user's ticket cache counts unless it
    /// is set.
    KERBEROS_KEYTAB: Option<PathBuf> = "security.kerberos.login.keytab", "";

    /// Principal whose keys that file has, such as `ann@EXAMPLE.COM`.
    KERBEROS_PRINCIPAL: Option<String> = "security.kerberos.login.principal", "";

    /// Whether Hadoop may be asked with the tickets that `kinit` has got.
    KERBEROS_USE_TICKET_CACHE: bool = "security.kerberos.login.use-ticket-cache", "true";

    /// File that says where the realm's KDC is, for an ApplicationMaster that has the keys; its node's own unless it is
    /// set.
    KERBEROS_KRB5_CONF: Option<PathBuf> = "security.kerberos.krb5-conf.path", "";

    /// Secured HDFS that an application on YARN uses besides the default one, such as `hdfs://other:8020`, with commas
    /// or semicolons: it is given tokens for them.
    KERBEROS_FILE_SYSTEMS: Option<String> = "security.kerberos.access.hadoopFileSystems", "";
}
