//! What an ApplicationMaster says to a NodeManager: ContainerManagementProtocol.

use super::conf::Configuration;
use super::proto::yarn::*;
use super::rpc::{Auth, Client, Method, Options, Protocol};
use super::token::Token;
use crate::error::{Result, ServerException};
use std::time::Duration;

/// ContainerManagementProtocol. It demands a token, also in clusters without security.
const PROTOCOL: Protocol = Protocol {
    name: "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB",
    service: "NodeManager",
    principal: "",
};

/// How long an unreachable NodeManager is tried by default.
const CONNECT_MAX: Duration = Duration::from_secs(180);

/// The calls to one NodeManager.
pub struct ContainerManager {
    rpc: Client,
}

/// A container with which a call didn't succeed, and why.
#[derive(Clone, Debug)]
pub struct ContainerFailure {
    /// The container.
    pub container: ContainerIdProto,
    /// The NodeManager's exception.
    pub exception: ServerException,
}

impl ContainerManager {
    /// Talks to a node, with the token for it that came with an allocation.
    pub fn new(node: &NodeIdProto, token: Token, options: Options) -> ContainerManager {
        ContainerManager { rpc: Client::new(PROTOCOL, vec![node.to_string()], Auth::Token(token), options) }
    }

    /// The options for a node: it is tried for less long than a ResourceManager, by default for 3 minutes.
    pub fn options(conf: &Configuration) -> Result<Options> {
        let retry_max = conf.time("yarn.client.nodemanager-connect.max-wait-ms", CONNECT_MAX)?;
        Ok(Options { retry_max, ..Options::from_configuration(conf)? })
    }

    /// Uses another token for connections that are made from now on.
    pub fn set_token(&self, token: Token) {
        self.rpc.set_auth(Auth::Token(token));
    }

    /// Starts commands in containers; returns those that were refused. Sent once: a container can't be started twice.
    pub async fn start(
        &self,
        containers: Vec<(ContainerProto, ContainerLaunchContextProto)>,
    ) -> Result<Vec<ContainerFailure>> {
        let start = |(container, context): (ContainerProto, _)| StartContainerRequestProto {
            container_launch_context: Some(context),
            container_token: container.container_token,
        };
        let request =
            StartContainersRequestProto { start_container_request: containers.into_iter().map(start).collect() };
        let method = Method::once("startContainers");
        let response: StartContainersResponseProto = self.rpc.call(method, &request).await?;
        Ok(failures(response.failed_requests))
    }

    /// Ends containers; returns those that the node doesn't know.
    pub async fn stop(&self, containers: Vec<ContainerIdProto>) -> Result<Vec<ContainerFailure>> {
        let request = StopContainersRequestProto { container_id: containers };
        let method = Method::repeatable("stopContainers");
        Ok(failures(self.rpc.call::<StopContainersResponseProto>(method, &request).await?.failed_requests))
    }

    /// How containers are, and which of them the node doesn't know.
    pub async fn statuses(
        &self,
        containers: Vec<ContainerIdProto>,
    ) -> Result<(Vec<ContainerStatusProto>, Vec<ContainerFailure>)> {
        let request = GetContainerStatusesRequestProto { container_id: containers };
        let method = Method::repeatable("getContainerStatuses");
        let response: GetContainerStatusesResponseProto = self.rpc.call(method, &request).await?;
        Ok((response.status, failures(response.failed_requests)))
    }
}

fn failures(failed: Vec<ContainerExceptionMapProto>) -> Vec<ContainerFailure> {
    let failure = |failed: ContainerExceptionMapProto| {
        let exception = failed.exception.unwrap_or_default();
        let exception = ServerException::new(exception.class_name(), exception.message());
        ContainerFailure { container: failed.container_id.unwrap_or_default(), exception }
    };
    failed.into_iter().map(failure).collect()
}
