//! What an ApplicationMaster says to the ResourceManager: ApplicationMasterProtocol.

use super::client::resource_managers;
use super::conf::Configuration;
use super::proto::yarn::*;
use super::rpc::{Auth, Client, Method, Options, Protocol};
use super::token::{Credentials, MASTER_KIND};
use crate::error::Result;
use std::time::Duration;

/// ApplicationMasterProtocol. It demands a token, also in clusters without security.
const PROTOCOL: Protocol = Protocol {
    name: "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB",
    service: "ResourceManager",
    principal: "",
};

/// How long to wait between two asks whether the end of an application has been written down.
const FINISH_PAUSE: Duration = Duration::from_millis(100);

/// The calls of an ApplicationMaster.
///
/// After a restart of the ResourceManager `allocate` and `finish` fail with [`Meaning::NotRegistered`]; register again
/// then, and send all asks and releases again, beginning with response id 0.
///
/// [`Meaning::NotRegistered`]: crate::error::Meaning::NotRegistered
pub struct ApplicationMaster {
    rpc: Client,
}

impl ApplicationMaster {
    /// Talks to the ResourceManagers that the configuration names, with the token that YARN put into `credentials`.
    pub fn new(conf: &Configuration, credentials: &Credentials, options: Options) -> Result<ApplicationMaster> {
        let addresses = resource_managers(conf, "yarn.resourcemanager.scheduler.address", 8030)?;
        let auth = Auth::Token(credentials.token(MASTER_KIND, None)?.clone());
        Ok(ApplicationMaster { rpc: Client::new(PROTOCOL, addresses, auth, options) })
    }

    /// Says where this ApplicationMaster is. `tracking_url` is where the ResourceManager's proxy finds its page.
    pub async fn register(
        &self,
        host: &str,
        port: u16,
        tracking_url: &str,
    ) -> Result<RegisterApplicationMasterResponseProto> {
        let request = RegisterApplicationMasterRequestProto {
            host: Some(host.to_owned()),
            rpc_port: Some(i32::from(port)),
            tracking_url: Some(tracking_url.to_owned()),
        };
        self.rpc.call(Method::repeatable("registerApplicationMaster"), &request).await
    }

    /// Heartbeat: sends asks and releases, returns new and ended containers, and tokens for the nodes of the new ones.
    /// A new token for this protocol is used from then on.
    ///
    /// The request's `response_id` is that of the last answer; an answer that was lost is sent again.
    pub async fn allocate(&self, request: &AllocateRequestProto) -> Result<AllocateResponseProto> {
        let response: AllocateResponseProto = self.rpc.call(Method::repeatable("allocate"), request).await?;
        if let Some(token) = &response.am_rm_token {
            self.rpc.set_auth(Auth::Token(token.clone().into()));
        }
        Ok(response)
    }

    /// Ends the application, and waits until that is written down.
    pub async fn finish(&self, status: FinalApplicationStatusProto, diagnostics: &str, url: &str) -> Result<()> {
        let request = FinishApplicationMasterRequestProto {
            diagnostics: Some(diagnostics.to_owned()),
            tracking_url: Some(url.to_owned()),
            final_application_status: Some(status as i32),
        };
        loop {
            let method = Method::repeatable("finishApplicationMaster");
            let response: FinishApplicationMasterResponseProto = self.rpc.call(method, &request).await?;
            if response.is_unregistered() {
                return Ok(());
            }
            tokio::time::sleep(FINISH_PAUSE).await;
        }
    }
}
