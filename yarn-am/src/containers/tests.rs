//! Decisions one by one, and against a ResourceManager that does what it likes.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits { failures_max: 2, interval: 60 * SECOND, node_failures_max: 2 }
}

fn containers(count: usize) -> (Containers<u32>, Vec<Command<u32>>) {
    let mut containers = Containers::new(limits());
    let wish = Wish { count, places: Vec::new() };
    let commands = containers.decide(Event::Wanted(7, wish), Duration::ZERO);
    (containers, commands)
}

fn ask(ask: AskId) -> Command<u32> {
    Command::Ask { ask, kind: 7, place: None }
}

fn cancel(ask: AskId) -> Command<u32> {
    Command::Cancel { ask, kind: 7, place: None }
}

fn allocated(id: u32, ask: AskId, node: &str) -> Event<u32> {
    Event::Allocated { id, ask, node: node.to_owned() }
}

fn ended(id: u32, end: End) -> Event<u32> {
    Event::Ended { id, end, diagnostics: String::new() }
}

#[test]
fn one_ask_per_missing_container_and_none_twice() {
    let (mut containers, commands) = containers(2);
    assert_eq!(commands, [ask(1), ask(2)]);
    assert!(containers.decide(Event::Tick, SECOND).is_empty(), "a heartbeat asks for nothing again");
    assert_eq!(containers.decide(allocated(10, 2, "a"), SECOND), [Command::Launch(10, 7)]);
    let more = Event::Wanted(7, Wish { count: 3, places: Vec::new() });
    assert_eq!(containers.decide(more, SECOND), [ask(3)], "what was served isn't asked for again");
    let resent: Vec<_> = containers.decide(Event::Resync, SECOND);
    assert_eq!(resent, [ask(1), ask(3)], "after a restart exactly what is open is asked for, under the same numbers");
}

#[test]
fn less_wanted_takes_asks_back_and_ends_nothing() {
    let (mut containers, _) = containers(2);
    containers.decide(allocated(10, 1, "a"), SECOND);
    let none = Event::Wanted(7, Wish::default());
    assert_eq!(containers.decide(none, SECOND), [cancel(2)]);
    assert_eq!(containers.decide(allocated(11, 2, "a"), SECOND), [Command::Release(11)], "it was on its way already");
    assert_eq!(containers.decide(Event::Return(10), SECOND), [Command::Release(10)]);
    assert!(containers.decide(ended(10, End::Taken), SECOND).is_empty());
    assert!(containers.decide(ended(11, End::Taken), SECOND).is_empty());
}

#[test]
fn what_an_earlier_attempt_left_counts() {
    let mut containers = Containers::<u32>::new(limits());
    containers.decide(Event::Found { id: 1, kind: 7, node: "a".to_owned() }, SECOND);
    let wish = Wish { count: 2, places: Vec::new() };
    assert_eq!(containers.decide(Event::Wanted(7, wish), SECOND), [ask(1)]);
    let late = Event::Found { id: 2, kind: 7, node: "b".to_owned() };
    assert_eq!(containers.decide(late, SECOND), [cancel(1)]);
}

#[test]
fn what_is_lost_is_replaced_and_what_was_taken_is_no_failure() {
    let (mut containers, _) = containers(1);
    for round in 1..10 {
        containers.decide(allocated(round, AskId::from(round), "a"), SECOND);
        assert_eq!(containers.decide(ended(round, End::from_status(-102)), SECOND), [ask(AskId::from(round) + 1)]);
    }
}

#[test]
fn too_many_failures_in_an_interval_end_it() {
    let (mut containers, _) = containers(1);
    let mut fail = |round: u32, at: u64| {
        let now = SECOND * at as u32;
        containers.decide(allocated(round, AskId::from(round), "a"), now);
        containers.decide(ended(round, End::Exited(1)), now)
    };
    assert_eq!(fail(1, 0), [ask(2)]);
    assert_eq!(fail(2, 10), [ask(3)]);
    assert_eq!(fail(3, 60), [ask(4)], "the first is forgotten after the interval");
    let message = "3 containers failed within 60 s; 2 are borne; the last was 4 on a: Exited(1)".to_owned();
    assert_eq!(fail(4, 61), [Command::GiveUp(message)], "and nothing is asked for any more");
}

#[test]
fn a_node_that_keeps_failing_is_avoided_for_a_time() {
    let (mut containers, _) = containers(1);
    containers.decide(Event::Nodes(2), Duration::ZERO);
    let fail = |containers: &mut Containers<u32>, round: u32, node: &str| {
        containers.decide(allocated(round, AskId::from(round), node), SECOND * round);
        containers.decide(ended(round, End::Disks), SECOND * round)
    };
    assert_eq!(fail(&mut containers, 1, "a"), [ask(2)]);
    assert_eq!(fail(&mut containers, 2, "a"), [Command::Avoid("a".to_owned()), ask(3)]);
    assert_eq!(fail(&mut containers, 3, "b"), [ask(4)]);
    assert_eq!(fail(&mut containers, 4, "b"), [ask(5)], "not all nodes can be avoided");
    let again = containers.decide(Event::Resync, SECOND * 5);
    assert_eq!(again, [ask(5), Command::Avoid("a".to_owned())]);
    assert_eq!(containers.decide(Event::Tick, SECOND * 62), [Command::Readmit("a".to_owned())]);
}

#[test]
fn places_are_filled_one_by_one() {
    let place = |node: &str, only| Place { node: node.to_owned(), rack: "/r".to_owned(), only };
    let mut containers = Containers::<u32>::new(limits());
    let wish = Wish { count: 4, places: vec![place("a", true), place("b", false), place("b", false)] };
    let nodes = |commands: &[Command<u32>]| -> Vec<String> {
        let node = |command: &Command<u32>| match command {
            Command::Ask { place, .. } => place.as_ref().map_or("*".to_owned(), |place| place.node.clone()),
            other => format!("{other:?}"),
        };
        commands.iter().map(node).collect()
    };
    let commands = containers.decide(Event::Wanted(7, wish), SECOND);
    assert_eq!(nodes(&commands), ["a", "b", "b", "*"]);
    containers.decide(allocated(1, 1, "a"), SECOND);
    containers.decide(allocated(2, 4, "b"), SECOND);
    assert_eq!(nodes(&containers.decide(ended(1, End::Taken), SECOND)), ["a"]);
}

/// A step of the world.
#[derive(Clone, Copy, Debug)]
enum Step {
    Want(usize),
    /// The ResourceManager allocates for one of the asks that it knows.
    Allocate(usize),
    /// The next container that it allocated gets here.
    Deliver,
    End(usize, i32),
    Return(usize),
    Restart,
    /// The ApplicationMaster starts again, with what it had running.
    Again,
    Pass(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0usize..6).prop_map(Step::Want),
        6 => any::<usize>().prop_map(Step::Allocate),
        6 => Just(Step::Deliver),
        2 => (any::<usize>(), prop_oneof![Just(1), Just(0), Just(-100), Just(-102), Just(-104)])
            .prop_map(|(which, status)| Step::End(which, status)),
        1 => any::<usize>().prop_map(Step::Return),
        1 => Just(Step::Restart),
        1 => Just(Step::Again),
        1 => (0u32..40).prop_map(Step::Pass),
    ]
}

/// A ResourceManager that knows asks by their numbers, and delivers late.
#[derive(Default)]
struct World {
    asks: BTreeMap<AskId, Kind>,
    on_the_way: VecDeque<(u32, AskId)>,
    running: BTreeSet<u32>,
    released: BTreeSet<u32>,
    next: u32,
    wanted: usize,
    gave_up: bool,
}

impl World {
    fn obey(&mut self, commands: Vec<Command<u32>>) -> Result<(), TestCaseError> {
        for command in commands {
            match command {
                Command::Ask { ask, kind, .. } => drop(self.asks.insert(ask, kind)),
                Command::Cancel { ask, .. } => drop(self.asks.remove(&ask)),
                Command::Launch(id, kind) => {
                    prop_assert_eq!(kind, 7);
                    prop_assert!(self.running.insert(id), "launched twice");
                }
                Command::Release(id) => {
                    prop_assert!(self.released.insert(id), "released twice");
                    self.running.remove(&id);
                }
                Command::GiveUp(_) => {
                    prop_assert!(!self.gave_up, "gave up twice");
                    self.gave_up = true;
                }
                Command::Avoid(_) | Command::Readmit(_) => {}
            }
        }
        Ok(())
    }

    /// A new attempt's decisions, which have been told of everything.
    fn again(&mut self, now: Duration) -> Result<Containers<u32>, TestCaseError> {
        (self.asks, self.on_the_way, self.gave_up) = Default::default();
        let mut containers = Containers::new(limits());
        let running: Vec<u32> = self.running.iter().copied().collect();
        for id in running {
            let found = Event::Found { id, kind: 7, node: "a".to_owned() };
            prop_assert!(containers.decide(found, now).is_empty());
        }
        let wish = Wish { count: self.wanted, places: Vec::new() };
        self.obey(containers.decide(Event::Wanted(7, wish), now))?;
        Ok(containers)
    }

    fn pick(&self, which: usize) -> Option<u32> {
        self.running.iter().nth(which % self.running.len().max(1)).copied()
    }

    /// What the step means to the decisions, if anything.
    fn event(&mut self, step: Step) -> Option<Event<u32>> {
        match step {
            Step::Want(count) => {
                self.wanted = count;
                Some(Event::Wanted(7, Wish { count, places: Vec::new() }))
            }
            Step::Allocate(which) => {
                let ask = *self.asks.keys().nth(which % self.asks.len().max(1))?;
                self.asks.remove(&ask);
                self.next += 1;
                self.on_the_way.push_back((self.next, ask));
                None
            }
            Step::Deliver => {
                let (id, ask) = self.on_the_way.pop_front()?;
                Some(allocated(id, ask, if id % 2 == 0 { "a" } else { "b" }))
            }
            Step::End(which, status) => {
                let id = self.pick(which)?;
                self.running.remove(&id);
                Some(ended(id, End::from_status(status)))
            }
            Step::Return(which) => self.pick(which).map(Event::Return),
            Step::Restart => {
                // What was allocated and not delivered is lost with the ResourceManager.
                (self.asks, self.on_the_way) = Default::default();
                Some(Event::Resync)
            }
            Step::Again | Step::Pass(_) => Some(Event::Tick),
        }
    }
}

proptest! {
    #[test]
    fn never_more_is_asked_than_needed_and_in_the_end_it_is_there(steps in vec(step(), 1..80)) {
        let mut containers = Containers::<u32>::new(limits());
        let (mut world, mut now) = (World::default(), Duration::ZERO);
        for step in steps {
            if let Step::Pass(seconds) = step {
                now += SECOND * seconds;
            }
            if let Step::Again = step {
                containers = world.again(now)?;
            }
            if let Some(event) = world.event(step) {
                world.obey(containers.decide(event, now))?;
            }
            // What runs is never ended by wanting less; what is asked for beyond it is within what is wanted.
            let needed = world.wanted.saturating_sub(world.running.len());
            prop_assert!(world.asks.len() <= needed, "{} asked, {} needed", world.asks.len(), needed);
            prop_assert_eq!(containers.held(7), world.running.len());
        }
        while world.asks.len() + world.on_the_way.len() > 0 {
            for step in [Step::Allocate(0), Step::Deliver] {
                if let Some(event) = world.event(step) {
                    world.obey(containers.decide(event, now))?;
                }
            }
        }
        prop_assert!(world.gave_up || world.running.len() >= world.wanted);
    }
}
