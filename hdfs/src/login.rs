//! Who this process is for the NameNode, in the calls that are made beside the client's.

use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::NameNode;
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::rpc::{Auth, Options};
use flinkrs_hadoop::token::{Credentials, TOKEN_FILE, Token};
use hdfs_native::Client;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The kind of the tokens by which HDFS knows a user.
const TOKEN_KIND: &str = "HDFS_DELEGATION_TOKEN";

/// How long block calls are repeated while the NameNode is away.
const RETRY_MAX: Duration = Duration::from_secs(120);

/// Block calls as `user`; `None` in a cluster with security for which there is no token.
pub(crate) fn name_node(conf: &Configuration, authority: &str, user: &str) -> Result<Option<NameNode>> {
    let auth = match token()? {
        Some(token) => Auth::Token(token),
        None if conf.get_or("hadoop.security.authentication", "simple")? != "simple" => return Ok(None),
        None => Auth::Simple { user: user.to_owned() },
    };
    let options = Options { retry_max: RETRY_MAX, ..Options::from_configuration(conf)? };
    Ok(Some(NameNode::new(conf, authority, auth, options)?))
}

/// The token that YARN has put into this process's container.
fn token() -> Result<Option<Token>> {
    let Some(file) = std::env::var_os(TOKEN_FILE) else { return Ok(None) };
    let credentials = Credentials::load(Path::new(&file))?;
    Ok(credentials.token(TOKEN_KIND, None).ok().cloned())
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
    use hdfs_native::ClientBuilder;

    #[test]
    fn the_clients_name_is_found() {
        let handle = runtime().unwrap().handle().clone();
        let client = || ClientBuilder::new().with_url("hdfs://127.0.0.1:1").with_io_runtime(handle.clone()).build();
        let names = [(); 2].map(|()| writer_name(&client().unwrap()).unwrap());
        assert!(names.iter().all(|name| name.starts_with("hdfs_native_client-") && name.len() > 40), "{names:?}");
        assert_ne!(names[0], names[1]);
    }
}
