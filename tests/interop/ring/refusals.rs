//! Who has no business in a ring is refused, is told why in words that help, and harms nobody.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use dtorrent::ring::link::RingKey;
use fastrand::Rng;
use socket2::{Domain, Socket, Type};

use super::{Ledger, all_of};
use crate::support::dtracker::PROGRAM;
use crate::support::process::Process;
use crate::support::ring::{LIMIT, Plan, RingNode, wait_for_ring};
use crate::support::server::Server;
use crate::support::stage::{Stage, fresh_address, fresh_ip, wait_for};

/// A ring of three with a key, and what its clients have said.
struct Scene {
    nodes: Vec<RingNode>,
    ledger: Ledger,
    stage: Stage,
}

impl Scene {
    fn new() -> Self {
        let stage = Stage::new();
        let key = new_key(&stage, "ring.key");
        let mut first = Plan::new(&stage, "node0", &[]);
        first.key = Some(key);
        let plans = (1..3).map(|number| Plan {
            key: first.key.clone(),
            ..Plan::new(&stage, &format!("node{number}"), &[&first.ring])
        });
        let plans: Vec<Plan> = plans.collect();
        let mut nodes = vec![first.start(&stage)];
        nodes.extend(plans.into_iter().map(|plan| plan.start(&stage)));
        wait_for_ring(&all_of(&nodes));
        let mut ledger = Ledger::default();
        ledger.announce(&ledger.changes(&all_of(&nodes), &mut Rng::new(), |_| true));
        Self { nodes, ledger, stage }
    }

    /// A node that wants to join, with the key of the ring.
    fn stranger(&self, name: &str) -> Plan {
        Plan {
            key: self.nodes[0].plan.key.clone(),
            ..Plan::new(&self.stage, name, &[&self.nodes[0].plan.ring])
        }
    }

    /// Waits until one of the ring's nodes has written this.
    fn wait_for_line(&self, part: &str) {
        wait_for(part, LIMIT, || {
            let mut nodes = self.nodes.iter();
            nodes
                .any(|node| node.process.output().contains(part))
                .then_some(())
        });
    }

    /// The ring is what it was, and knows what it knew.
    fn is_unharmed(&self) {
        wait_for_ring(&all_of(&self.nodes));
        self.ledger.check(&all_of(&self.nodes));
    }
}

fn new_key(stage: &Stage, name: &str) -> std::path::PathBuf {
    let path = stage.path(name);
    RingKey::generate().unwrap().create(&path).unwrap();
    path
}

/// A connection from an address of its own: of one host a node complains now and then only.
fn connect(to: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((fresh_ip(), 0)).into()).unwrap();
    let to: SocketAddr = to.parse().unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.into()
}

/// Sends this and reads what is said until the connection ends.
fn say(to: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(to);
    // It may be refused before all is written.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn without_the_rings_key_nobody_gets_in() {
    let scene = Scene::new();
    let wrong = Plan {
        key: Some(new_key(&scene.stage, "wrong.key")),
        ..scene.stranger("wrong")
    };
    let wrong = wrong.launch(&scene.stage);
    wait_for("the word of the one with the wrong key", LIMIT, || {
        wrong
            .output()
            .contains("does it have the same ring key?")
            .then_some(())
    });
    scene.wait_for_line("it does not know the key of this ring");
    let none = Plan {
        key: None,
        ..scene.stranger("none")
    };
    let none = none.launch(&scene.stage);
    wait_for("the word of the one without a key", LIMIT, || {
        none.output()
            .contains("does it have the same ring key?")
            .then_some(())
    });
    scene.is_unharmed();

    // Where others could come from, no node even starts without a key.
    let config = scene.stage.path("open.toml");
    let listen = fresh_address();
    fs::write(
        &config,
        format!("[ring]\nlisten = \"{listen}\"\nadvertise = \"192.0.2.7:6970\"\nstate = \"open\"\n"),
    )
    .unwrap();
    let arguments = ["serve", "--config", config.to_str().unwrap()];
    let mut open = Process::start(&scene.stage, "open", PROGRAM, arguments);
    assert_eq!(open.wait(LIMIT).code(), Some(1));
    let said = open.output();
    assert!(said.contains("make a key with `dtracker key`"), "{said}");
}

#[test]
fn noise_at_the_door_changes_nothing() {
    let scene = Scene::new();
    let door = &scene.nodes[1].plan.ring;
    let mut rng = Rng::new();
    say(door, b"GET /announce HTTP/1.1\r\nHost: x\r\n\r\n");
    scene.wait_for_line("it is no ring node: its first bytes are \"GET /ann\"");
    for length in [0, 1, 7, 8, 57, 4_000, 200_000] {
        let mut bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
        say(door, &bytes);
        // The right first words, and then rubbish.
        bytes.splice(..0, *b"dtring\0\x01\0\x30");
        let answer = say(door, &bytes);
        assert!(answer.len() <= 106, "{} bytes for rubbish", answer.len());
    }
    scene.wait_for_line("message 1 of its handshake cannot be opened");
    // More that say nothing than may be half open.
    let silent: Vec<TcpStream> = (0..100).map(|_| connect(door)).collect();
    scene.is_unharmed();
    drop(silent);
}

#[test]
fn a_recorded_handshake_opens_nothing() {
    let scene = Scene::new();
    // A node that joins by way of somebody who writes down all that it says.
    let door = scene.nodes[0].plan.ring.clone();
    let records: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let listening = {
        let (door, records) = (door.clone(), Arc::clone(&records));
        Server::start(fresh_ip(), move |mut near| {
            let mut far = TcpStream::connect(&door)?;
            let (mut back_from, mut back_to) = (far.try_clone()?, near.try_clone()?);
            let back = thread::spawn(move || {
                let _ = std::io::copy(&mut back_from, &mut back_to);
                let _ = back_to.shutdown(Shutdown::Both);
            });
            let mut said = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(count) = near.read(&mut buffer)
                && count > 0
            {
                said.extend_from_slice(&buffer[..count]);
                far.write_all(&buffer[..count])?;
            }
            let _ = far.shutdown(Shutdown::Both);
            let _ = back.join();
            records.lock().unwrap().push(said);
            Ok(())
        })
    };
    let by_way = listening.address().to_string();
    let joining = Plan {
        join: vec![by_way],
        ..scene.stranger("joining")
    };
    let joining = joining.start(&scene.stage);
    let mut nodes = all_of(&scene.nodes);
    nodes.push(&joining);
    wait_for_ring(&nodes);
    let recorded = wait_for("a whole handshake", LIMIT, || {
        let records = records.lock().unwrap();
        records.iter().find(|said| said.len() > 100).cloned()
    });
    // The answer of the one that is called is new each time, so what was right once is wrong now.
    say(&door, &recorded);
    scene.wait_for_line("it does not know the key of this ring");
    wait_for_ring(&nodes);
    scene.ledger.check(&nodes);
}

#[test]
fn nobody_takes_the_place_of_a_node() {
    let scene = Scene::new();
    let victim = &scene.nodes[1];
    let text = fs::read_to_string(victim.plan.state.join("node")).unwrap();
    let its = |field: &str| {
        let mut lines = text.lines();
        lines.find(|line| line.starts_with(field)).unwrap().to_owned()
    };

    // With its id and another key.
    let impostor = scene.stranger("impostor");
    let mut other = impostor.launch(&scene.stage);
    wait_for("an identity", LIMIT, || {
        impostor.state.join("node").exists().then_some(())
    });
    other.kill();
    let own = fs::read_to_string(impostor.state.join("node")).unwrap();
    let own_id = own.lines().find(|line| line.starts_with("id ")).unwrap();
    fs::write(impostor.state.join("node"), own.replace(own_id, &its("id "))).unwrap();
    wait_for_ring(&all_of(&scene.nodes));
    let other = impostor.launch(&scene.stage);
    wait_for("the word of the impostor", LIMIT, || {
        other
            .output()
            .contains("its id was seen with another key before")
            .then_some(())
    });
    scene.wait_for_line("with another key than that node had: refused");
    scene.is_unharmed();
    drop(other);

    // A second program on its folder.
    let second = Plan {
        state: victim.plan.state.clone(),
        ..scene.stranger("second")
    };
    let mut second = second.launch(&scene.stage);
    assert_eq!(second.wait(LIMIT).code(), Some(1));
    let said = second.output();
    assert!(said.contains("is in use by another node"), "{said}");
    scene.is_unharmed();
}

#[test]
fn a_copied_state_folder_is_noticed() {
    let mut scene = Scene::new();
    let twin = scene.stranger("twin");
    for file in ["node", "known", "members"] {
        let from = scene.nodes[2].plan.state.join(file);
        if from.exists() {
            fs::copy(from, twin.state.join(file)).unwrap();
        }
    }
    let twin = twin.start(&scene.stage);
    // The later one counts; whoever was there before must not go on by itself.
    let mut first = scene.nodes.remove(2);
    assert_eq!(first.process.wait(LIMIT).code(), Some(1));
    let said = first.process.output();
    assert!(said.contains("of them a folder of its own"), "{said}");
    scene.nodes.push(twin);
    scene.is_unharmed();
}
