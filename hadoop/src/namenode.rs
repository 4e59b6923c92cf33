//! What is asked of HDFS's NameNode beyond files and folders: where blocks are, and where new ones may go.

use crate::conf::Configuration;
use crate::error::{Error, Result};
use crate::kerberos::NAME_NODE;
use crate::proto::common::*;
use crate::proto::hdfs::*;
use crate::rpc::{Auth, Client, Method, Options, Protocol};
use crate::token::Token;
use std::net::ToSocketAddrs;

/// ClientProtocol, under the name by which NameNodes know it.
const PROTOCOL: Protocol =
    Protocol { name: "org.apache.hadoop.hdfs.protocol.ClientProtocol", service: "NameNode", principal: NAME_NODE };

/// The port of a NameNode that is named without one.
const PORT: u16 = 8020;

/// The block calls of ClientProtocol, on the active one of the NameNodes.
pub struct NameNode {
    rpc: Client,
}

impl NameNode {
    /// A client of the NameNodes at `authority`: `HOST:PORT`, `HOST`, or a nameservice of the configuration.
    pub fn new(conf: &Configuration, authority: &str, auth: Auth, options: Options) -> Result<NameNode> {
        Ok(NameNode { rpc: Client::new(PROTOCOL, name_nodes(conf, authority)?, auth, options) })
    }

    /// The blocks of a file that lie between `offset` and `offset + length`; `None` if there is no such file.
    pub async fn block_locations(&self, path: &str, offset: u64, length: u64) -> Result<Option<LocatedBlocksProto>> {
        let request = GetBlockLocationsRequestProto { src: path.to_owned(), offset, length };
        let method = Method::repeatable("getBlockLocations");
        let response: Result<GetBlockLocationsResponseProto> = self.rpc.call(method, &request).await;
        match response {
            Ok(response) => Ok(response.locations),
            Err(Error::Server { exception, .. }) if exception.class == "java.io.FileNotFoundException" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A token by which others act for this user, and that `renewer`, a principal, may renew; `None` from a NameNode
    /// without security. Its `service` says nothing of where it is good: that is [`token_service`].
    pub async fn delegation_token(&self, renewer: &str) -> Result<Option<Token>> {
        let request = GetDelegationTokenRequestProto { renewer: renewer.to_owned() };
        let method = Method::repeatable("getDelegationToken");
        let response: GetDelegationTokenResponseProto = self.rpc.call(method, &request).await?;
        Ok(response.token.map(Token::from))
    }

    /// Puts the end of a token off, which only its renewer may; says when that is, in ms since 1970.
    pub async fn renew_delegation_token(&self, token: &Token) -> Result<u64> {
        let request = RenewDelegationTokenRequestProto { token: token.clone().into() };
        let method = Method::repeatable("renewDelegationToken");
        Ok(self.rpc.call::<RenewDelegationTokenResponseProto>(method, &request).await?.new_expiry_time)
    }

    /// Ends a token, which its owner and its renewer may.
    pub async fn cancel_delegation_token(&self, token: &Token) -> Result<()> {
        let request = CancelDelegationTokenRequestProto { token: token.clone().into() };
        let method = Method::once("cancelDelegationToken");
        let _: CancelDelegationTokenResponseProto = self.rpc.call(method, &request).await?;
        Ok(())
    }

    /// What files have that are made without saying so, and how long the trash keeps them.
    pub async fn server_defaults(&self) -> Result<FsServerDefaultsProto> {
        let method = Method::repeatable("getServerDefaults");
        let response: GetServerDefaultsResponseProto = self.rpc.call(method, &GetServerDefaultsRequestProto {}).await?;
        Ok(response.server_defaults)
    }

    /// A new block behind `previous`, the file's last one, on none of the nodes in `excluded`. When it is asked for
    /// again and nothing was written to it, the same block comes again.
    pub async fn add_block(
        &self,
        path: &str,
        writer: &str,
        previous: Option<ExtendedBlockProto>,
        excluded: Vec<DatanodeInfoProto>,
    ) -> Result<LocatedBlockProto> {
        let request = AddBlockRequestProto {
            src: path.to_owned(),
            client_name: writer.to_owned(),
            previous,
            exclude_nodes: excluded,
            file_id: None,
        };
        let response: AddBlockResponseProto = self.rpc.call(Method::repeatable("addBlock"), &request).await?;
        Ok(response.block)
    }

    /// Takes the last block, to which nothing was written, off a file.
    pub async fn abandon_block(&self, path: &str, writer: &str, block: ExtendedBlockProto) -> Result<()> {
        let request =
            AbandonBlockRequestProto { b: block, src: path.to_owned(), holder: writer.to_owned(), file_id: None };
        let _: AbandonBlockResponseProto = self.rpc.call(Method::repeatable("abandonBlock"), &request).await?;
        Ok(())
    }

    /// The last block under a new generation stamp, with which other DataNodes go on, and the token for writing to it.
    pub async fn update_block_for_pipeline(
        &self,
        writer: &str,
        block: ExtendedBlockProto,
    ) -> Result<LocatedBlockProto> {
        let request = UpdateBlockForPipelineRequestProto { block, client_name: writer.to_owned() };
        let method = Method::repeatable("updateBlockForPipeline");
        let response: UpdateBlockForPipelineResponseProto = self.rpc.call(method, &request).await?;
        Ok(response.block)
    }

    /// Says that the last block, `old` until now, goes on with these DataNodes and their storages.
    pub async fn update_pipeline(
        &self,
        writer: &str,
        old: ExtendedBlockProto,
        new: ExtendedBlockProto,
        located: &LocatedBlockProto,
    ) -> Result<()> {
        let request = UpdatePipelineRequestProto {
            client_name: writer.to_owned(),
            old_block: old,
            new_block: new,
            new_nodes: located.locs.iter().map(|node| node.id.clone()).collect(),
            storage_i_ds: located.storage_i_ds.clone(),
        };
        let _: UpdatePipelineResponseProto = self.rpc.call(Method::repeatable("updatePipeline"), &request).await?;
        Ok(())
    }

    /// Closes a file whose last block is `last`; `false` as long as too few replicas of it have been reported.
    pub async fn complete(&self, path: &str, writer: &str, last: Option<ExtendedBlockProto>) -> Result<bool> {
        let request =
            CompleteRequestProto { src: path.to_owned(), client_name: writer.to_owned(), last, file_id: None };
        let response: CompleteResponseProto = self.rpc.call(Method::repeatable("complete"), &request).await?;
        Ok(response.result)
    }
}

/// The addresses of the NameNodes that `authority` stands for.
///
/// # Errors
/// When it is a nameservice whose addresses the configuration doesn't say.
pub fn name_nodes(conf: &Configuration, authority: &str) -> Result<Vec<String>> {
    let ids = conf.list(&format!("dfs.ha.namenodes.{authority}"))?;
    if ids.is_empty() {
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        return Ok(vec![if has_port { authority.to_owned() } else { format!("{authority}:{PORT}") }]);
    }
    let address = |id: &String| {
        let key = format!("dfs.namenode.rpc-address.{authority}.{id}");
        conf.get(&key)?.ok_or_else(|| {
            let file = conf.folder().join("hdfs-site.xml");
            Error::configuration(format!("{} doesn't set {key}, and names {id} as a NameNode", file.display()))
        })
    };
    ids.iter().map(address).collect()
}

/// What a token for the NameNodes at `authority` names as its service: `ha-hdfs:NAMESERVICE`, or the address with its
/// port, by number unless `hadoop.security.token.service.use_ip` is false. Looks the host's name up.
pub fn token_service(conf: &Configuration, authority: &str) -> Result<String> {
    if !conf.list(&format!("dfs.ha.namenodes.{authority}"))?.is_empty() {
        return Ok(format!("ha-hdfs:{authority}"));
    }
    let address = name_nodes(conf, authority)?.remove(0).to_ascii_lowercase();
    if !conf.flag("hadoop.security.token.service.use_ip", true)? {
        return Ok(address);
    }
    let found = address.to_socket_addrs().ok().and_then(|found| {
        let found: Vec<_> = found.collect();
        found.iter().find(|address| address.is_ipv4()).or(found.first()).copied()
    });
    // Whoever can't look it up can't connect either, and says so then.
    Ok(found.map_or(address, |address| address.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_nodes_are_one_or_those_of_a_nameservice() {
        let mut conf = Configuration::default();
        assert_eq!(name_nodes(&conf, "nn:9000").unwrap(), ["nn:9000"]);
        assert_eq!(name_nodes(&conf, "nn").unwrap(), ["nn:8020"]);
        conf.set("dfs.ha.namenodes.ns", "a, b");
        conf.set("dfs.namenode.rpc-address.ns.a", "ha:8020");
        let message = name_nodes(&conf, "ns").unwrap_err().to_string();
        assert!(message.contains("dfs.namenode.rpc-address.ns.b"), "{message}");
        conf.set("dfs.namenode.rpc-address.ns.b", "hb:8020");
        assert_eq!(name_nodes(&conf, "ns").unwrap(), ["ha:8020", "hb:8020"]);
        assert_eq!(token_service(&conf, "ns").unwrap(), "ha-hdfs:ns");
    }

    #[test]
    fn tokens_are_for_addresses() {
        let mut conf = Configuration::default();
        assert_eq!(token_service(&conf, "127.0.0.1").unwrap(), "127.0.0.1:8020");
        assert_eq!(token_service(&conf, "localhost:9000").unwrap(), "127.0.0.1:9000");
        conf.set("hadoop.security.token.service.use_ip", "false");
        assert_eq!(token_service(&conf, "LocalHost:9000").unwrap(), "localhost:9000");
    }
}
