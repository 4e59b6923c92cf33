//! What a client says to the ResourceManager: ApplicationClientProtocol.

use super::conf::Configuration;
use super::proto::yarn::*;
use super::rpc::{Auth, Client, Method, Options, Protocol};
use crate::error::{Error, Result};
use crate::kerberos::{Principals, RESOURCE_MANAGER};

/// ApplicationClientProtocol.
const PROTOCOL: Protocol = Protocol {
    name: "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB",
    service: "ResourceManager",
    principal: RESOURCE_MANAGER,
};

/// Submits applications and asks about the cluster. Everything may be sent again: Hadoop calls these methods
/// idempotent.
pub struct ApplicationClient {
    rpc: Client,
}

impl ApplicationClient {
    /// A client of the ResourceManagers that the configuration names.
    pub fn new(conf: &Configuration, auth: Auth, options: Options) -> Result<ApplicationClient> {
        let addresses = resource_managers(conf, "yarn.resourcemanager.address", 8032)?;
        Ok(ApplicationClient { rpc: Client::new(PROTOCOL, addresses, auth, options) })
    }

    /// A number for an application, and the largest container of the cluster.
    pub async fn new_application(&self) -> Result<GetNewApplicationResponseProto> {
        self.rpc.call(Method::repeatable("getNewApplication"), &GetNewApplicationRequestProto {}).await
    }

    /// Queues an application, under the number that it was given. Whether it is accepted its report says.
    pub async fn submit(&self, application: ApplicationSubmissionContextProto) -> Result<()> {
        let request = SubmitApplicationRequestProto { application_submission_context: Some(application) };
        let _: SubmitApplicationResponseProto =
            self.rpc.call(Method::repeatable("submitApplication"), &request).await?;
        Ok(())
    }

    /// How an application is.
    pub async fn report(&self, application: ApplicationIdProto) -> Result<ApplicationReportProto> {
        let request = GetApplicationReportRequestProto { application_id: Some(application) };
        let method = Method::repeatable("getApplicationReport");
        let response: GetApplicationReportResponseProto = self.rpc.call(method, &request).await?;
        response.application_report.ok_or_else(|| missing("report"))
    }

    /// Ends an application; `true` once it has ended, until then ask again.
    pub async fn kill(&self, application: ApplicationIdProto, diagnostics: &str) -> Result<bool> {
        let request = KillApplicationRequestProto {
            application_id: Some(application),
            diagnostics: Some(diagnostics.to_owned()),
        };
        let method = Method::repeatable("forceKillApplication");
        let response: KillApplicationResponseProto = self.rpc.call(method, &request).await?;
        Ok(response.is_kill_completed())
    }

    /// The nodes in any of these states; all nodes if there are none.
    pub async fn nodes(&self, states: &[NodeStateProto]) -> Result<Vec<NodeReportProto>> {
        let node_states = states.iter().map(|state| *state as i32).collect();
        let request = GetClusterNodesRequestProto { node_states };
        let method = Method::repeatable("getClusterNodes");
        Ok(self.rpc.call::<GetClusterNodesResponseProto>(method, &request).await?.node_reports)
    }

    /// The applications that fit the request.
    pub async fn applications(&self, request: GetApplicationsRequestProto) -> Result<Vec<ApplicationReportProto>> {
        let method = Method::repeatable("getApplications");
        Ok(self.rpc.call::<GetApplicationsResponseProto>(method, &request).await?.applications)
    }

    /// A queue and the queues in it; `None` if there is none of that name.
    pub async fn queue(&self, name: &str) -> Result<Option<QueueInfoProto>> {
        let request = GetQueueInfoRequestProto {
            queue_name: Some(name.to_owned()),
            include_applications: Some(false),
            include_child_queues: Some(true),
            recursive: Some(true),
        };
        Ok(self.rpc.call::<GetQueueInfoResponseProto>(Method::repeatable("getQueueInfo"), &request).await?.queue_info)
    }

    /// How many nodes there are.
    pub async fn metrics(&self) -> Result<YarnClusterMetricsProto> {
        let method = Method::repeatable("getClusterMetrics");
        let response: GetClusterMetricsResponseProto = self.rpc.call(method, &GetClusterMetricsRequestProto {}).await?;
        response.cluster_metrics.ok_or_else(|| missing("metrics"))
    }
}

/// The principal of the ResourceManager, which renews the tokens of applications.
///
/// # Errors
/// When the configuration doesn't name it.
pub fn renewer(conf: &Configuration) -> Result<String> {
    let address = resource_managers(conf, "yarn.resourcemanager.address", 8032)?.remove(0);
    Principals::from_configuration(conf)?.named(RESOURCE_MANAGER, &address).ok_or_else(|| {
        Error::configuration(format!(
            "{} doesn't set {RESOURCE_MANAGER}, and so not who renews tokens",
            conf.folder().join("yarn-site.xml").display()
        ))
    })
}

fn missing(what: &str) -> Error {
    Error::Garbled { server: "the ResourceManager".to_owned(), message: format!("an answer without its {what}") }
}

/// The addresses of all ResourceManagers: `key`, or with high availability `key.ID` of each; else the host with the
/// port that Hadoop uses.
pub(super) fn resource_managers(conf: &Configuration, key: &str, port: u16) -> Result<Vec<String>> {
    let address = |suffix: &str| {
        if let Some(address) = conf.get(&format!("{key}{suffix}"))? {
            return Ok(address);
        }
        let host_key = format!("yarn.resourcemanager.hostname{suffix}");
        match conf.get(&host_key)? {
            Some(host) => Ok(format!("{host}:{port}")),
            None => Err(Error::configuration(format!(
                "no ResourceManager: {} sets neither {host_key} nor {key}{suffix}",
                conf.folder().join("yarn-site.xml").display()
            ))),
        }
    };
    if !conf.flag("yarn.resourcemanager.ha.enabled", false)? {
        return Ok(vec![address("")?]);
    }
    let ids = conf.list("yarn.resourcemanager.ha.rm-ids")?;
    if ids.is_empty() {
        let message = "yarn.resourcemanager.ha.enabled is true, and yarn.resourcemanager.ha.rm-ids is empty";
        return Err(Error::configuration(message));
    }
    ids.iter().map(|id| address(&format!(".{id}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_managers_are_found_with_and_without_high_availability() {
        let key = "yarn.resourcemanager.scheduler.address";
        let mut conf = Configuration::default();
        let message = resource_managers(&conf, key, 8030).unwrap_err().to_string();
        assert!(message.contains("neither yarn.resourcemanager.hostname nor yarn.resourcemanager.scheduler.address"));
        conf.set("yarn.resourcemanager.hostname", "rm");
        assert_eq!(resource_managers(&conf, key, 8030).unwrap(), ["rm:8030"]);
        conf.set(key, "${yarn.resourcemanager.hostname}:1");
        assert_eq!(resource_managers(&conf, key, 8030).unwrap(), ["rm:1"]);
        conf.set("yarn.resourcemanager.ha.enabled", "true");
        assert!(resource_managers(&conf, key, 8030).is_err());
        conf.set("yarn.resourcemanager.ha.rm-ids", "a, b");
        conf.set("yarn.resourcemanager.hostname.a", "ha");
        conf.set("yarn.resourcemanager.scheduler.address.b", "hb:2");
        assert_eq!(resource_managers(&conf, key, 8030).unwrap(), ["ha:8030", "hb:2"]);
    }
}
