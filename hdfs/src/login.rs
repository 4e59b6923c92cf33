//! Who this process is for the NameNode.

use crate::address::SCHEME;
use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::rpc::{Auth, Options};
use flinkrs_hadoop::token::{TOKEN_FILE, TokenFile};
use flinkrs_hadoop::{NameNode, token_service};
use hdfs_native::{Client, ClientBuilder};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The kind of the tokens by which HDFS knows a user.
const TOKEN_KIND: &str = "HDFS_DELEGATION_TOKEN";

/// How long block calls are repeated while the NameNode is away.
const RETRY_MAX: Duration = Duration::from_secs(120);

/// The way to log in: in a secured cluster the token that YARN has put into this process's container, and outside of
/// containers Kerberos.
///
/// # Errors
/// When the container was given no token for this HDFS, or there is no login by Kerberos.
pub(crate) fn auth(conf: &Configuration, authority: &str) -> Result<Auth> {
    let is_secured = conf.get_or("hadoop.security.authentication", "simple")? != "simple";
    let Some(file) = std::env::var_os(TOKEN_FILE).filter(|_| is_secured) else { return Ok(Auth::of(conf)?) };
    let service = token_service(conf, authority)?;
    let file = TokenFile { path: PathBuf::from(file), kind: TOKEN_KIND.to_owned(), service };
    match file.read() {
        Ok(_) => Ok(Auth::TokenIn(file)),
        Err(error) => Auth::of(conf).map_err(|_| {
            Error::usage(format!(
                "no login to hdfs://{authority}: {error}; security.kerberos.access.hadoopFileSystems gives an \
                 application tokens for others than the default HDFS"
            ))
        }),
    }
}

/// Calls to the NameNode besides the client's.
pub(crate) fn name_node(conf: &Configuration, authority: &str, auth: Auth) -> Result<NameNode> {
    let options = Options { retry_max: RETRY_MAX, ..Options::from_configuration(conf)? };
    Ok(NameNode::new(conf, authority, auth, options)?)
}

/// The same login for the client. One with a token finds it by itself, in the file, if the address is written as there.
pub(crate) fn client(conf: &Configuration, authority: &str, auth: &Auth) -> Result<ClientBuilder> {
    let is_service = !conf.list(&format!("dfs.ha.namenodes.{authority}"))?.is_empty();
    let address = match auth {
        _ if is_service => authority.to_owned(),
        Auth::TokenIn(file) => file.service.clone(),
        Auth::Token(_) | Auth::Simple { .. } | Auth::Kerberos(_) => {
            flinkrs_hadoop::name_nodes(conf, authority)?.remove(0)
        }
    };
    let builder = ClientBuilder::new().with_url(format!("{SCHEME}://{address}"));
    Ok(match auth {
        Auth::Simple { user } => builder.with_user(user),
        Auth::Token(_) | Auth::TokenIn(_) => builder,
        Auth::Kerberos(login) => match login.keytab() {
            Some(keytab) => builder
                .with_kerberos_principal(login.principal())
                .with_kerberos_keytab(&keytab.path)
                .with_kerberos_cache(&keytab.cache),
            None => builder,
        },
    })
}

/// The name under which the client writes. It tells it nowhere but in its description for debugging, so its version is
/// pinned, and a test looks.
pub(crate) fn writer_name(client: &Client) -> Result<Arc<str>> {
    let text = format!("{client:?}");
    let named = text.split_once("client_name: \"").and_then(|(_, rest)| rest.split_once('"'));
    let named = named.filter(|(name, _)| !name.is_empty());
    named.map(|(name, _)| Arc::from(name)).ok_or_else(|| Error::internal("hdfs-native doesn't show its name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::runtime;

    #[test]
    fn the_clients_name_is_found() {
        let handle = runtime().unwrap().handle().clone();
        let client = || ClientBuilder::new().with_url("hdfs://127.0.0.1:1").with_io_runtime(handle.clone()).build();
        let names = [(); 2].map(|()| writer_name(&client().unwrap()).unwrap());
        assert!(names.iter().all(|name| name.starts_with("hdfs_native_client-") && name.len() > 40), "{names:?}");
        assert_ne!(names[0], names[1]);
    }
}
