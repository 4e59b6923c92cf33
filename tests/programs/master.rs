//! A small ApplicationMaster: runs a command in one container on each node that it is told, and ends when they have.
//!
//! It is told by its environment: `NODES` (names for the scheduler, with commas), `OUTPUT` (a folder; each container
//! writes there what reached it), `COMMAND` (a shell script, without it one that writes `OUTPUT`), `PROTECTION` (of
//! connections), and `HOLD` (a file; the end waits until it exists).

#![expect(clippy::print_stdout, reason = "YARN keeps it as the log of the container")]

use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::error::Meaning;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hadoop::rpc::Options;
use flinkrs_hadoop::token::{Credentials, TOKEN_FILE, Token};
use flinkrs_hadoop::{ApplicationMaster, ContainerManager};
use flinkrs_hadoop::{Error, Result};
use flinkrs_yarn_am::containers::{Command, Containers, End, Event, Kind, Limits, Place, Wish};
use flinkrs_yarn_am::heartbeat::{Answer, Heartbeat, Size};
use flinkrs_yarn_am::launch::{Launch, resource};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The only kind of containers here.
const WORK: Kind = 5;

/// What a container writes: an argument and a variable that shells and YARN would like to change.
const SCRIPT: &str = r#"printf '%s|%s' "$1" "$VALUE" > "$2.part" && mv "$2.part" "$2""#;

/// Both of them.
const AWKWARD: &str = "a 'b' \"c\" $HOME `d` {{e}} <LOG_DIR> \\ *";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    match runtime.block_on(Master::run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Master {
    conf: Configuration,
    rpc: ApplicationMaster,
    started: Instant,
    heartbeat: Heartbeat,
    containers: Containers<ContainerIdProto>,
    /// Those whose containers have not ended.
    nodes: Vec<String>,
    allocated: BTreeMap<ContainerIdProto, ContainerProto>,
    tokens: BTreeMap<String, Token>,
    managers: BTreeMap<String, ContainerManager>,
    failure: Option<String>,
}

impl Master {
    async fn run() -> Result<()> {
        let mut master = Master::new()?;
        master.register().await?;
        master.decide(Event::Wanted(WORK, master.wish())).await?;
        let hold = std::env::var("HOLD").ok();
        while master.failure.is_none() {
            let held = hold.as_ref().is_some_and(|file| !Path::new(file).exists());
            if master.nodes.is_empty() && !held {
                break;
            }
            master.beat().await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (status, diagnostics) = match &master.failure {
            None => (FinalApplicationStatusProto::AppSucceeded, "all done"),
            Some(failure) => (FinalApplicationStatusProto::AppFailed, failure.as_str()),
        };
        master.rpc.finish(status, diagnostics, "").await
    }

    fn new() -> Result<Master> {
        let mut conf = Configuration::discover(std::env::vars())?;
        if let Ok(protection) = std::env::var("PROTECTION") {
            conf.set("hadoop.rpc.protection", &protection);
        }
        let credentials = Credentials::load(Path::new(&variable(TOKEN_FILE)?))?;
        let mut heartbeat = Heartbeat::new(&conf)?;
        heartbeat.set_size(WORK, Size { resource: resource(128, 2), node_label: None });
        let limits = Limits { failures_max: 0, interval: Duration::from_secs(600), node_failures_max: 3 };
        Ok(Master {
            rpc: ApplicationMaster::new(&conf, &credentials, Options::from_configuration(&conf)?)?,
            conf,
            started: Instant::now(),
            heartbeat,
            containers: Containers::new(limits),
            nodes: variable("NODES")?.split(',').map(str::to_owned).collect(),
            allocated: BTreeMap::new(),
            tokens: BTreeMap::new(),
            managers: BTreeMap::new(),
            failure: None,
        })
    }

    async fn register(&mut self) -> Result<()> {
        let response = self.rpc.register("localhost", 0, "").await?;
        let most = response.maximum_capability.unwrap_or_default();
        println!(
            "registered: queue {}, at most {} MB, {} cores",
            response.queue(),
            most.memory(),
            most.virtual_cores()
        );
        let left = response.containers_from_previous_attempts;
        let token = |token: NmTokenProto| Some((token.node_id?, token.token?.into()));
        let tokens = response.nm_tokens_from_previous_attempts.into_iter().filter_map(token).collect();
        let answer = Answer { events: self.heartbeat.found(&left), containers: left, tokens };
        self.obey(answer).await
    }

    /// A container on each of the nodes whose containers have not ended.
    fn wish(&self) -> Wish {
        let place = |node: &String| Place { node: node.clone(), rack: "/default-rack".to_owned(), only: true };
        Wish { count: self.nodes.len(), places: self.nodes.iter().map(place).collect() }
    }

    async fn beat(&mut self) -> Result<()> {
        let request = self.heartbeat.request(0.5);
        match self.rpc.allocate(&request).await {
            Ok(response) => {
                let answer = self.heartbeat.answered(response);
                self.obey(answer).await
            }
            Err(error) if error.meaning() == Some(Meaning::NotRegistered) => {
                println!("registering again: {error}");
                self.register().await?;
                let resync = self.heartbeat.resync();
                self.decide(resync).await
            }
            Err(error) => Err(error),
        }
    }

    async fn obey(&mut self, answer: Answer) -> Result<()> {
        for (node, token) in answer.tokens {
            if let Some(manager) = self.managers.get(&node.to_string()) {
                manager.set_token(token.clone());
            }
            self.tokens.insert(node.to_string(), token);
        }
        for container in answer.containers {
            self.allocated.insert(container.id.unwrap_or_default(), container);
        }
        for event in answer.events {
            if let Event::Found { id, node, .. } = &event {
                println!("{id} was found on {node}");
            }
            if let Event::Ended { id, end, diagnostics } = &event {
                println!("{id} ended: {end:?} {diagnostics}");
                if *end == End::Exited(0) {
                    let node = self.allocated.get(id).and_then(|container| container.node_id.clone());
                    let name = self.heartbeat.node_name(&node.unwrap_or_default());
                    self.nodes.retain(|node| *node != name);
                    self.decide(Event::Wanted(WORK, self.wish())).await?;
                    // It did what it was there for: that isn't a failure. After a restart YARN may say so again.
                    self.decide(Event::Return(*id)).await?;
                    continue;
                }
            }
            self.decide(event).await?;
        }
        Ok(())
    }

    async fn decide(&mut self, event: Event<ContainerIdProto>) -> Result<()> {
        for command in self.containers.decide(event, self.started.elapsed()) {
            match self.heartbeat.take(command) {
                Some(Command::Launch(id, _)) => self.launch(id).await?,
                Some(Command::GiveUp(failure)) => self.failure = Some(failure),
                _ => {}
            }
        }
        Ok(())
    }

    async fn launch(&mut self, id: ContainerIdProto) -> Result<()> {
        let container = self.allocated.get(&id).cloned().unwrap_or_default();
        let node = container.node_id.clone().unwrap_or_default();
        println!("{id} was allocated on {node}");
        let output = format!("{}/{}", variable("OUTPUT")?, node.port());
        let script = std::env::var("COMMAND").unwrap_or_else(|_| SCRIPT.to_owned());
        let mut launch = Launch { log_name: "work".to_owned(), ..Launch::default() };
        launch.command = ["/bin/sh", "-c", &script, "sh", AWKWARD, &output].map(str::to_owned).to_vec();
        launch.environment.insert("VALUE".to_owned(), AWKWARD.to_owned());
        let name = node.to_string();
        if !self.managers.contains_key(&name) {
            let token = self.tokens.get(&name).cloned().ok_or_else(|| missing(&format!("NMToken for {name}")))?;
            let options = ContainerManager::options(&self.conf)?;
            self.managers.insert(name.clone(), ContainerManager::new(&node, token, options));
        }
        let manager = &self.managers[&name];
        if let Some(refused) = manager.start(vec![(container, launch.to_proto())]).await?.first() {
            return Err(missing(&format!("start of {id}: {}", refused.exception)));
        }
        let (statuses, unknown) = manager.statuses(vec![id]).await?;
        println!("{id} started: {statuses:?}");
        if statuses.len() != 1 || !unknown.is_empty() {
            return Err(missing(&format!("status of {id}")));
        }
        Ok(())
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| missing(&format!("variable {name}")))
}

fn missing(what: &str) -> Error {
    Error::configuration(format!("missing: {what}"))
}
