//! Whoever should not talk to a ring is refused, and the ring goes on.

use super::*;

fn key() -> RingKey {
    RingKey::generate().unwrap()
}

/// Two nodes with a link that must still be the same one in the end.
fn pair() -> (TestNode, TestNode) {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    one.say(&two.me, b"first");
    two.notes.wait_frames(1);
    (one, two)
}

fn is_unharmed(one: &TestNode, two: &TestNode) {
    let before = two.notes.wait_frames(1).len();
    one.say(&two.me, b"still here");
    two.notes.wait_frames(before + 1);
    for (node, other) in [(one, two), (two, one)] {
        let closed = |told: &Told| matches!(told, Told::Closed(contact, ..) if *contact == other.me);
        assert_eq!(node.notes.count(closed), 0);
    }
}

#[test]
fn another_ring_key_is_refused_on_both_sides() {
    let (one, two) = pair();
    let stranger = Plan {
        ring: Some(key()),
        ..Plan::new(3)
    };
    let stranger = stranger.start();
    for _ in 0..3 {
        stranger.say(&one.me, b"let me in");
        one.say(&stranger.me, b"come in");
    }
    for (node, other) in [(&stranger, &one), (&one, &stranger)] {
        let (contact, why, _) = node.notes.wait_closed();
        assert_eq!(contact, other.me);
        assert!(why.contains("same ring key"), "{why}");
    }
    assert_eq!(stranger.notes.count(|told| matches!(told, Told::Opened(_))), 0);
    assert_eq!(one.notes.count(|told| matches!(told, Told::Opened(_))), 1);
    is_unharmed(&one, &two);
}

#[test]
fn garbage_at_the_door_is_refused() {
    let (one, two) = pair();
    let mut rng = fastrand::Rng::with_seed(1);
    for length in [0, 1, 8, 9, 58, 500, 70_000] {
        for is_preamble_right in [false, true] {
            let mut bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
            if let (true, Some(front)) = (is_preamble_right, bytes.get_mut(..10)) {
                front.copy_from_slice(b"dtring\0\x01\0\x30");
            }
            let mut stream = TcpStream::connect(two.me.addr).unwrap();
            // It may be refused before all is written.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(answer.len() <= 106, "{} bytes for garbage", answer.len());
        }
    }
    is_unharmed(&one, &two);
    assert_eq!(two.notes.count(|told| matches!(told, Told::Opened(_))), 1);
}

/// Lets two nodes talk over a wire that does something to the bytes of the second frame.
fn tampered(tamper: impl Fn(&mut Vec<u8>) + Send + 'static) -> String {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    let third = TestNode::new(3);
    third.say(&two.me, b"a link beside it");
    two.notes.wait_frames(1);
    let wire = Wire::to(&two);
    let through = Contact {
        addr: wire.addr,
        ..two.me
    };
    one.say(&through, b"first");
    let armed = Arc::new(Mutex::new(false));
    let is_armed = Arc::clone(&armed);
    let ends = wire.put_through(move |bytes| {
        if *is_armed.lock().unwrap() {
            tamper(bytes);
        }
    });
    two.notes.wait_frames(2);
    *armed.lock().unwrap() = true;
    one.say(&through, b"second");
    let (contact, why, dead) = two.notes.wait_closed();
    assert_eq!((contact, dead), (one.me, true));
    // Neither the ring nor the two are harmed.
    third.say(&two.me, b"a link beside it, still");
    let (near, far) = ends;
    // The far one may be gone already.
    near.shutdown(Shutdown::Both).unwrap();
    let _ = far.shutdown(Shutdown::Both);
    one.say_until_heard(&two, b"third");
    let opened = |told: &Told| matches!(told, Told::Opened(contact) if *contact == third.me);
    assert_eq!(two.notes.count(opened), 1);
    why
}

#[test]
fn a_changed_frame_ends_the_link() {
    let why = tampered(|bytes| {
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
    });
    assert!(why.contains("cannot be opened"), "{why}");
}

#[test]
fn a_frame_that_is_played_again_ends_the_link() {
    let why = tampered(|bytes| bytes.extend_from_within(..));
    assert!(why.contains("cannot be opened"), "{why}");
}

#[test]
fn another_nodes_id_is_refused_when_it_calls_and_when_it_is_called() {
    let (one, two) = pair();
    let impostor = Plan {
        key: 66,
        life: 99,
        ..Plan::new(2)
    };
    let impostor = impostor.start();
    impostor.say(&one.me, b"it is me");
    let (contact, why, _) = impostor.notes.wait_closed();
    assert_eq!(contact, one.me);
    assert!(why.contains("another key"), "{why}");
    is_unharmed(&one, &two);

    // One is told that node 2 lives where the impostor is, and knows better; so it does of a new id there.
    two.links.shut_down();
    one.notes.wait_closed();
    one.notes.all().clear();
    one.say(&impostor.me, b"is it you?");
    let (contact, why, _) = one.notes.wait_closed();
    assert_eq!(contact, impostor.me);
    assert!(why.contains("another key"), "{why}");
    let elsewhere = Contact {
        id: RingId::new([4; 20]),
        ..impostor.me
    };
    one.say(&elsewhere, b"and you?");
    one.notes.wait("a refusal", |told| {
        let is = |told: &Told| matches!(told, Told::Closed(contact, why, _) if *contact == elsewhere && why.contains("another node"));
        told.iter().any(is).then_some(())
    });
    assert_eq!(one.notes.count(|told| matches!(told, Told::Opened(_))), 0);
}

#[test]
fn an_earlier_life_is_refused_and_the_later_one_keeps_its_link() {
    let one = TestNode::new(1);
    let later = Plan {
        life: 8,
        ..Plan::new(2)
    };
    let later = later.start();
    later.say(&one.me, b"hello");
    one.notes.wait_frames(1);
    // The same node from an old copy of its state.
    let earlier = TestNode::new(2);
    earlier.say(&one.me, b"hello");
    let (_, why, _) = earlier.notes.wait_closed();
    assert!(why.contains("a later life"), "{why}");
    is_unharmed(&later, &one);
}

#[test]
fn a_flood_of_silent_connections_locks_nobody_out() {
    let two = Plan {
        settings: LinkSettings {
            max_half_open: 4,
            handshake_timeout: Duration::from_secs(3_600),
            ..LinkSettings::default()
        },
        ..Plan::new(2)
    };
    let two = two.start();
    let flood: Vec<_> = (0..40)
        .map(|_| TcpStream::connect(two.me.addr).unwrap())
        .collect();
    // All but the latest are closed to make room.
    let is_closed = |mut stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        let ended = stream.read(&mut [0; 1]);
        !ended.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    };
    let until = Instant::now() + PATIENCE;
    while flood.iter().filter(|stream| is_closed(stream)).count() < 36 {
        assert!(Instant::now() < until, "more are open than may be");
        thread::sleep(Duration::from_millis(5));
    }
    let one = TestNode::new(1);
    one.say_until_heard(&two, b"hello");
    drop(flood);
}

#[test]
fn half_a_handshake_does_not_last() {
    let two = Plan {
        settings: LinkSettings {
            handshake_timeout: Duration::from_millis(50),
            ..LinkSettings::default()
        },
        ..Plan::new(2)
    };
    let two = two.start();
    let mut stream = TcpStream::connect(two.me.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Byte by byte, so that each read brings something.
    for byte in b"dtring\0" {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let ended = stream.read(&mut [0; 1]);
    assert!(
        matches!(&ended, Ok(0))
            || ended
                .as_ref()
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset),
        "{ended:?}"
    );
}

#[test]
fn without_a_ring_key_nothing_leaves_the_machine() {
    let keyless = |id| Plan {
        ring: None,
        ..Plan::new(id)
    };
    let (one, two) = (keyless(1).start(), keyless(2).start());
    one.say(&two.me, b"on the loopback it works");
    two.notes.wait_frames(1);
    let outside = Contact {
        id: RingId::new([3; 20]),
        incarnation: 1,
        addr: ([192, 0, 2, 1], 1).into(),
    };
    one.say(&outside, b"hello");
    let (contact, why, _) = one.notes.wait_closed();
    assert_eq!(contact, outside);
    assert!(why.contains("no ring key"), "{why}");
    // Neither does it mix with a ring that has one.
    let keyed = TestNode::new(4);
    keyed.say(&one.me, b"hello");
    let (_, why, _) = keyed.notes.wait_closed();
    assert!(why.contains("same ring key"), "{why}");

    let setup = |local: &str, me: &str| Setup {
        me: Contact {
            id: RingId::new([1; 20]),
            incarnation: 1,
            addr: me.parse().unwrap(),
        },
        node_key: NodeKey::new([1; 32]),
        ring_key: None,
        known: KnownNodes::in_memory(),
        listener: Some(TcpListener::bind(local).unwrap()),
        sockets: Arc::new(SocketFactory::new("").unwrap()),
        settings: LinkSettings::default(),
    };
    for (local, me) in [("0.0.0.0:0", "127.0.0.1:1"), ("127.0.0.1:0", "192.0.2.1:1")] {
        let service = Arc::new(Noting(Arc::default()));
        let refused = Links::start(setup(local, me), service);
        assert!(matches!(refused, Err(StartError::NoKey { .. })), "{local} {me}");
    }
}
