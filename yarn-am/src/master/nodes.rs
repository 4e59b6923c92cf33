//! The NodeManagers: containers are started there, on all nodes at once.

use crate::containers::{End, Event};
use flinkrs_core::error::Result;
use flinkrs_hadoop::ContainerManager;
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::proto::yarn::{ContainerIdProto, ContainerLaunchContextProto, ContainerProto, NodeIdProto};
use flinkrs_hadoop::rpc::Options;
use flinkrs_hadoop::token::Token;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The nodes that were talked to.
pub(super) struct Nodes {
    options: Options,
    tokens: BTreeMap<String, Token>,
    managers: BTreeMap<String, Arc<ContainerManager>>,
    /// Of starts that have failed; there are never more than containers.
    failed: mpsc::UnboundedReceiver<Event<ContainerIdProto>>,
    failure: mpsc::UnboundedSender<Event<ContainerIdProto>>,
}

impl Nodes {
    pub(super) fn new(conf: &Configuration) -> Result<Nodes> {
        let (failure, failed) = mpsc::unbounded_channel();
        let options = ContainerManager::options(conf)?;
        Ok(Nodes { options, tokens: BTreeMap::new(), managers: BTreeMap::new(), failed, failure })
    }

    /// The next start that has failed.
    pub(super) async fn next(&mut self) -> Event<ContainerIdProto> {
        match self.failed.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// A token for a node, in place of the one before.
    pub(super) fn set_token(&mut self, node: &NodeIdProto, token: Token) {
        let name = node.to_string();
        if let Some(manager) = self.managers.get(&name) {
            manager.set_token(token.clone());
        }
        self.tokens.insert(name, token);
    }

    /// Starts a container, in the background.
    pub(super) fn start(&mut self, node: &NodeIdProto, container: ContainerProto, launch: ContainerLaunchContextProto) {
        let (id, name, failure) = (container.id.unwrap_or_default(), node.to_string(), self.failure.clone());
        let Some(manager) = self.manager(node) else {
            let diagnostics = format!("there is no NMToken for {name}");
            // The receiver is a field beside it.
            let _ = failure.send(Event::Ended { id, end: End::NotStarted, diagnostics });
            return;
        };
        tokio::spawn(async move {
            let refused = match manager.start(vec![(container, launch)]).await {
                Ok(refused) => refused.first().map(|refused| refused.exception.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(diagnostics) = refused {
                // When the application has ended nobody asks any more.
                let _ = failure.send(Event::Ended { id, end: End::NotStarted, diagnostics });
            }
        });
    }

    fn manager(&mut self, node: &NodeIdProto) -> Option<Arc<ContainerManager>> {
        let name = node.to_string();
        if let Some(manager) = self.managers.get(&name) {
            return Some(Arc::clone(manager));
        }
        let token = self.tokens.get(&name)?.clone();
        let manager = Arc::new(ContainerManager::new(node, token, self.options.clone()));
        self.managers.insert(name, Arc::clone(&manager));
        Some(manager)
    }
}
