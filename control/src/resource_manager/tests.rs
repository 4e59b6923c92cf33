//! Tests of the ResourceManager.

use super::*;
use crate::options::Elastic;
use std::time::Duration;

const A: ApplicationId = ApplicationId(1);
const B: ApplicationId = ApplicationId(2);

fn registration(name: &str, slots: u32) -> Registration {
    let address = || Arc::from(format!("{name}:1").as_str());
    Registration { task_executor: name.into(), host: name.into(), data_address: address(), slots, slot_bytes: 1 }
}

fn register(manager: &mut ResourceManager, name: &str, slots: u32) -> Vec<ResourceCommand> {
    manager.handle(ResourceEvent::Register(registration(name, slots)), Timestamp(0))
}

fn want(manager: &mut ResourceManager, application: ApplicationId, total: u32) -> Vec<ResourceCommand> {
    manager.handle(ResourceEvent::SlotsWanted { application, total }, Timestamp(0))
}

/// The slots that commands grant, by application.
fn granted(commands: &[ResourceCommand]) -> Vec<(ApplicationId, Vec<String>)> {
    let grant = |command: &ResourceCommand| match command {
        ResourceCommand::Grant { application, slots } => {
            Some((*application, slots.iter().map(|granted| granted.slot.to_string()).collect()))
        }
        _ => None,
    };
    commands.iter().filter_map(grant).collect()
}

fn strings(slots: &[&str]) -> Vec<String> {
    slots.iter().map(|slot| (*slot).to_owned()).collect()
}

#[test]
fn slots_are_spread_or_packed() {
    for (spread, expected) in [(true, ["b:0", "a:0"]), (false, ["a:0", "a:1"])] {
        let mut manager = ResourceManager::new(ResourceOptions { spread, ..ResourceOptions::default() });
        register(&mut manager, "a", 2);
        register(&mut manager, "b", 2);
        assert_eq!(granted(&want(&mut manager, A, 2)), [(A, strings(&expected))]);
    }
}

#[test]
fn the_first_in_the_queue_gets_all_before_the_next_gets_any() {
    let mut manager = ResourceManager::new(ResourceOptions::default());
    register(&mut manager, "a", 2);
    let commands = want(&mut manager, A, 3);
    assert_eq!(granted(&commands), [(A, strings(&["a:0", "a:1"]))]);
    let missing = ResourceCommand::Missing { application: A, task_executors: 1, slots: 2, free_slots: 0 };
    assert!(commands.contains(&missing), "{commands:?}");
    assert!(granted(&want(&mut manager, B, 1)).is_empty());
    assert_eq!(granted(&register(&mut manager, "b", 2)), [(A, strings(&["b:0"])), (B, strings(&["b:1"]))]);
    assert!(manager.view().waiting.is_empty());
}

#[test]
fn released_slots_go_to_who_waits() {
    let mut manager = ResourceManager::new(ResourceOptions::default());
    register(&mut manager, "a", 1);
    want(&mut manager, A, 1);
    want(&mut manager, B, 1);
    want(&mut manager, A, 0);
    let slot = SlotId { task_executor: "a".into(), index: 0 };
    let other = ResourceEvent::SlotsReleased { application: B, slots: vec![slot.clone()] };
    assert!(granted(&manager.handle(other, Timestamp(0))).is_empty(), "it isn't its own");
    let event = ResourceEvent::SlotsReleased { application: A, slots: vec![slot] };
    assert_eq!(granted(&manager.handle(event, Timestamp(0))), [(B, strings(&["a:0"]))]);
    manager.handle(ResourceEvent::ApplicationClosed { application: B }, Timestamp(0));
    assert_eq!(manager.view().task_executors[0].slots, [None]);
}

#[test]
fn one_without_heartbeats_is_lost_and_its_slots_are_replaced() {
    let mut manager = ResourceManager::new(ResourceOptions::default());
    register(&mut manager, "a", 1);
    register(&mut manager, "b", 1);
    assert_eq!(granted(&want(&mut manager, A, 1)), [(A, strings(&["b:0"]))]);
    let alive = ResourceEvent::Heartbeat { task_executor: "a".into() };
    manager.handle(alive, Timestamp(3000));
    let commands = manager.handle(ResourceEvent::Tick, Timestamp(4000));
    assert!(matches!(&commands[0], ResourceCommand::Disconnect { task_executor } if *task_executor == "b".into()));
    assert!(
        matches!(&commands[1], ResourceCommand::TaskExecutorLost { task_executor, .. } if *task_executor == "b".into())
    );
    assert_eq!(granted(&commands), [(A, strings(&["a:0"]))]);
    assert_eq!(commands.last(), Some(&ResourceCommand::WakeAt(Timestamp(7000))));
}

#[test]
fn a_name_is_registered_once() {
    let mut manager = ResourceManager::new(ResourceOptions::default());
    register(&mut manager, "a", 1);
    for (name, slots) in [("a", 1), ("b", 0)] {
        let commands = register(&mut manager, name, slots);
        assert!(matches!(&commands[0], ResourceCommand::Refused { .. }), "{commands:?}");
    }
}

#[test]
fn task_executors_are_started_when_missing_and_released_when_idle() {
    let elastic = Elastic { slots_each: 2, slot_bytes: 1, max: 3, idle_timeout: Duration::from_secs(30) };
    let options = ResourceOptions {
        elastic: Some(elastic),
        heartbeat_timeout: Duration::from_secs(1000),
        ..ResourceOptions::default()
    };
    let mut manager = ResourceManager::new(options);
    let wanted = |total| ResourceCommand::WantTaskExecutors { total };
    assert!(want(&mut manager, A, 3).contains(&wanted(2)));
    assert!(want(&mut manager, B, 5).contains(&wanted(3)), "no more than 3");
    let commands = register(&mut manager, "a", 2);
    assert!(!commands.iter().any(|command| matches!(command, ResourceCommand::WantTaskExecutors { .. })));
    assert_eq!(manager.view().pending_task_executors, 2);
    assert!(want(&mut manager, B, 0).contains(&wanted(2)), "A still waits for one");
    let gone = ResourceEvent::Disconnected { task_executor: "a".into(), reason: String::new() };
    assert!(!manager.handle(gone, Timestamp(0)).contains(&wanted(1)), "it is replaced");
    register(&mut manager, "b", 2);
    register(&mut manager, "c", 2);
    let slot = |index| SlotId { task_executor: "b".into(), index };
    let slots = vec![slot(0), slot(1), SlotId { task_executor: "c".into(), index: 0 }];
    manager.handle(ResourceEvent::SlotsReleased { application: A, slots }, Timestamp(0));
    want(&mut manager, A, 0);
    register(&mut manager, "d", 2);
    manager.handle(ResourceEvent::PartitionsFound { task_executor: "d".into(), application: A }, Timestamp(0));
    manager.handle(ResourceEvent::Tick, Timestamp(50_000));
    assert_eq!(manager.view().task_executors.len(), 3, "partitions of A may be there");
    manager.handle(ResourceEvent::ApplicationClosed { application: A }, Timestamp(60_000));
    assert!(!manager.handle(ResourceEvent::Tick, Timestamp(89_999)).contains(&wanted(0)));
    let commands = manager.handle(ResourceEvent::Tick, Timestamp(90_000));
    let lost = |command: &&ResourceCommand| matches!(command, ResourceCommand::TaskExecutorLost { .. });
    assert_eq!(commands.iter().filter(lost).count(), 3);
    assert!(commands.contains(&wanted(0)));
}
