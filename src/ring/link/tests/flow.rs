//! Frames go through, in order, in batches and within bounds; links come, go and come back.

use std::sync::Barrier;

use super::*;

fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

#[test]
fn frames_of_several_threads_arrive_in_order_over_one_link() {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    thread::scope(|scope| {
        for thread in 0..4_u8 {
            let mut post = one.links.post();
            let to = two.me;
            scope.spawn(move || {
                for count in 0..2_000_u32 {
                    assert!(post.send(&to, kind::DATA, |out| {
                        out.u8(thread);
                        out.u32(count);
                    }));
                    if count % 7 == 0 {
                        post.flush();
                    }
                }
            });
        }
    });
    let frames = two.notes.wait_frames(8_000);
    for thread in 0..4_u8 {
        let counts: Vec<u32> = frames
            .iter()
            .filter(|frame| frame[0] == thread)
            .map(|frame| u32::from_be_bytes(frame[1..].try_into().unwrap()))
            .collect();
        assert!(counts.iter().copied().eq(0..2_000), "thread {thread}");
    }
    assert_eq!(one.links.status().len(), 1);
    assert_eq!(two.links.status().len(), 1);
    assert_eq!(one.links.status()[0].totals.frames_out, 8_000);
    assert_eq!(two.links.status()[0].totals.frames_in, 8_000);
    assert_eq!(
        one.links.status()[0].totals.bytes_out,
        two.links.status()[0].totals.bytes_in
    );
}

#[test]
fn what_is_queued_together_goes_out_together() {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    one.say(&two.me, b"first");
    two.notes.wait_frames(1);
    let mut post = one.links.post();
    for count in 0..5_000 {
        assert!(post.send(&two.me, kind::DATA, |out| out.u32(count)));
    }
    post.flush();
    two.notes.wait_frames(5_001);
    // The first frame; some of the others with it, if its sender was still at work; then 45 KB in one Noise message.
    // A socket that takes less at once costs another write.
    let sent = one.links.status()[0].totals;
    assert!(sent.writes <= 6, "{sent:?}");
    let received = two.links.status()[0].totals;
    assert!(received.reads <= 20, "{received:?}");
}

#[test]
fn a_handler_answers_by_the_same_link_with_one_write_for_a_batch() {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    let mut post = one.links.post();
    for count in 0..1_000 {
        post.send(&two.me, kind::CHORD, |out| out.u32(count));
    }
    post.flush();
    let echoes = one.notes.wait_frames(1_000);
    assert!(
        (0..1_000)
            .map(number)
            .eq(echoes.iter().map(|body| <[u8; 4]>::try_from(&body[..]).unwrap()))
    );
    let status = two.links.status()[0];
    assert_eq!((status.contact, status.totals.frames_out), (one.me, 1_000));
    // As many writes as there were wake-ups, not as there were frames.
    assert!(status.totals.writes <= status.totals.reads + 1, "{status:?}");
}

#[test]
fn both_sides_call_at_once_and_get_one_link_and_every_frame() {
    for _ in 0..30 {
        let (one, two) = (TestNode::new(1), TestNode::new(2));
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            for (from, to) in [(&one, &two), (&two, &one)] {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    from.say(&to.me, b"hello");
                });
            }
        });
        for (node, other) in [(&one, &two), (&two, &one)] {
            node.notes.wait_frames(1);
            assert_eq!(
                *node.notes.all(),
                [Told::Opened(other.me), Told::Frame(other.me, b"hello".to_vec()),]
            );
            assert_eq!(node.links.status().len(), 1);
        }
    }
}

#[test]
fn a_node_that_does_not_read_costs_a_bounded_queue_and_then_its_link() {
    let plan = Plan {
        settings: LinkSettings {
            queue_bytes: 512 * 1024,
            ..LinkSettings::default()
        },
        ..Plan::new(1)
    };
    let (one, two) = (plan.start(), TestNode::new(2));
    one.say(&two.me, b"first");
    two.notes.wait_frames(1);
    two.notes.hold(true);
    let mut post = one.links.post();
    let mut sent = 0;
    // What two sockets hold is some megabytes.
    while post.send(&two.me, kind::DATA, |out| out.bytes(&[0; 32 * 1024])) {
        post.flush();
        sent += 1;
        assert!(post.waiting(two.me.id) <= 2 * 512 * 1024);
        assert!(sent < 10_000, "nothing bounds it");
    }
    let (contact, why, dead) = one.notes.wait_closed();
    assert_eq!((contact, dead), (two.me, true), "{why}");
    assert!(why.contains("does not read"), "{why}");
    two.notes.hold(false);
    one.say_until_heard(&two, b"again");
}

#[test]
fn a_silent_node_keeps_its_link_and_hears_all_when_it_wakes() {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    one.say(&two.me, b"first");
    two.notes.wait_frames(1);
    // As if it were stopped: nothing is read, nothing is answered.
    two.notes.hold(true);
    let mut post = one.links.post();
    for count in 0..100 {
        assert!(post.send(&two.me, kind::DATA, |out| out.bytes(&[count; 8 * 1024])));
        post.flush();
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(one.notes.count(|told| matches!(told, Told::Closed(..))), 0);
    two.notes.hold(false);
    assert_eq!(two.notes.wait_frames(101).len(), 101);
    assert_eq!(one.notes.count(|told| matches!(told, Told::Closed(..))), 0);
}

#[test]
fn idle_links_are_closed_by_both_and_made_again() {
    let settings = LinkSettings {
        idle: Duration::from_millis(40),
        ..LinkSettings::default()
    };
    let plan = |id| Plan {
        settings,
        ..Plan::new(id)
    };
    let (one, two) = (plan(1).start(), plan(2).start());
    one.say(&two.me, b"first");
    for (node, other) in [(&one, &two), (&two, &one)] {
        let (contact, why, dead) = node.notes.wait_closed();
        assert_eq!((contact, why.as_str(), dead), (other.me, "it was idle", false));
    }
    assert!(two.say(&one.me, b"second"));
    one.notes.wait_frames(1);
}

#[test]
fn no_frame_is_lost_or_overtaken_when_idle_links_close_under_it() {
    let settings = LinkSettings {
        idle: Duration::from_millis(8),
        ..LinkSettings::default()
    };
    let plan = |id| Plan {
        settings,
        ..Plan::new(id)
    };
    let (one, two) = (plan(1).start(), plan(2).start());
    thread::scope(|scope| {
        for (from, to, seed) in [(&one, &two, 1), (&two, &one, 2)] {
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                for count in 0..150 {
                    assert!(from.say(&to.me, &number(count)));
                    thread::sleep(Duration::from_millis(rng.u64(0..20)));
                }
            });
        }
    });
    for node in [&one, &two] {
        let frames = node.notes.wait_frames(150);
        let expected: Vec<_> = (0..150).map(|count| number(count).to_vec()).collect();
        assert_eq!(frames, expected);
        let dead = |told: &Told| matches!(told, Told::Closed(_, _, true));
        assert_eq!(node.notes.count(dead), 0);
    }
    assert!(
        one.notes.count(|told| matches!(told, Told::Opened(_))) > 1,
        "no link was ever idle"
    );
}

#[test]
fn a_node_that_shuts_down_says_goodbye_and_its_next_life_is_another_contact() {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    one.say(&two.me, b"first");
    two.notes.wait_frames(1);
    // What is queued goes out before the goodbye.
    two.say(&one.me, b"last words");
    let old = two.me;
    two.links.shut_down();
    assert_eq!(Arc::strong_count(&two.notes), 2, "a thread is left over");
    let (contact, why, dead) = one.notes.wait_closed();
    assert_eq!(
        (contact, why.as_str(), dead),
        (old, "the other node shuts down", true)
    );
    assert_eq!(one.notes.wait_frames(1), [b"last words".to_vec()]);
    let (_, why, dead) = two.notes.wait_closed();
    assert_eq!((why.as_str(), dead), ("this node shuts down", false));
    drop(two);

    let plan = Plan {
        life: 2,
        port: old.addr.port(),
        ..Plan::new(2)
    };
    let two = plan.start();
    one.say_until_heard(&two, b"second life");
    assert_eq!(one.notes.wait_opened(2), two.me);
    assert!(!one.say(&old, b"for the dead"));
    one.notes.wait("the old life", |told| {
        let old_life = |told: &Told| matches!(told, Told::Closed(contact, why, true) if *contact == old && why == "the node has started again");
        told.iter().any(old_life).then_some(())
    });
    assert_eq!(one.links.status()[0].contact, two.me);
}

#[test]
fn frames_for_an_earlier_life_are_reported_and_the_link_is_to_the_later_one() {
    let one = TestNode::new(1);
    let two = Plan {
        life: 5,
        ..Plan::new(2)
    };
    let two = two.start();
    let old = Contact {
        incarnation: 4,
        ..two.me
    };
    assert!(one.say(&old, b"for the dead"));
    assert_eq!(one.notes.wait_opened(1), two.me);
    let (contact, why, _) = one.notes.wait_closed();
    assert_eq!((contact, why.as_str()), (old, "the node has started again"));
    one.say(&two.me, b"for the living");
    assert_eq!(two.notes.wait_frames(1), [b"for the living".to_vec()]);
}

#[test]
fn a_link_that_only_one_side_has_lost_is_replaced() {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    let wire = Wire::to(&two);
    let through = Contact {
        addr: wire.addr,
        ..two.me
    };
    one.say(&through, b"first");
    let (near, far) = wire.put_through(|_| {});
    two.notes.wait_frames(1);
    near.shutdown(Shutdown::Both).unwrap();
    let (_, why, dead) = one.notes.wait_closed();
    assert!(dead, "{why}");
    one.say_until_heard(&two, b"second");
    assert_eq!(
        two.notes.wait_closed(),
        (one.me, "the other node opened a new link".to_owned(), false)
    );
    assert_eq!(two.notes.wait_opened(2), one.me);
    drop(far);
}

#[test]
fn a_node_that_is_not_there_is_told_at_once_and_called_again_later() {
    let one = TestNode::new(1);
    let gone = TestNode::new(2);
    let contact = gone.me;
    drop(gone);
    assert!(one.say(&contact, b"anybody?"));
    let (lost, why, dead) = one.notes.wait_closed();
    assert_eq!((lost, dead), (contact, true));
    assert!(why.starts_with("it cannot be reached"), "{why}");
    let plan = Plan {
        port: contact.addr.port(),
        ..Plan::new(2)
    };
    let back = plan.start();
    one.say_until_heard(&back, b"there you are");
}

#[test]
fn a_call_for_another_node_makes_no_link() {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    let moved = Contact {
        id: RingId::new([3; 20]),
        ..two.me
    };
    one.say(&moved, b"are you the third?");
    let (contact, why, dead) = one.notes.wait_closed();
    assert_eq!((contact, dead), (moved, true));
    assert!(why.contains("another node"), "{why}");
    one.say(&two.me, b"then to you");
    two.notes.wait_frames(1);
    assert_eq!(two.notes.count(|told| matches!(told, Told::Opened(_))), 1);
    assert_eq!(two.notes.count(|told| matches!(told, Told::Closed(..))), 0);
}

#[test]
fn a_link_that_was_given_up_ends_and_can_be_made_anew() {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    one.say(&two.me, b"first");
    two.notes.wait_frames(1);
    let other_life = Contact {
        incarnation: 9,
        ..two.me
    };
    one.links.give_up(&other_life);
    assert_eq!(one.links.status().len(), 1);
    one.links.give_up(&two.me);
    let (contact, why, dead) = one.notes.wait_closed();
    assert_eq!(
        (contact, why.as_str(), dead),
        (two.me, "it was given up by us", false)
    );
    one.say_until_heard(&two, b"second");
}

#[test]
fn a_meeting_tells_who_is_there_and_makes_no_link() {
    let (one, two) = (TestNode::new(1), TestNode::new(2));
    one.say(&two.me, b"first");
    two.notes.wait_frames(1);
    let met = |addr| {
        one.links.meet(addr);
        one.notes.wait("a meeting", |told| {
            told.iter().find_map(|told| match told {
                Told::Met(at, outcome) if *at == addr => Some(outcome.clone()),
                _ => None,
            })
        })
    };
    assert_eq!(met(two.me.addr), Ok(two.me));
    assert!(met(one.me.addr).unwrap_err().contains("same id"));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(met(nobody).unwrap_err().contains("cannot be reached"));
    // The link that was there before is untouched.
    assert_eq!(two.notes.count(|told| matches!(told, Told::Opened(_))), 1);
    assert_eq!(two.notes.count(|told| matches!(told, Told::Closed(..))), 0);
}

#[test]
fn shutting_down_is_quick_and_leaves_nothing_running() {
    let nodes: Vec<_> = (1..=4).map(TestNode::new).collect();
    for from in &nodes {
        for to in &nodes {
            from.say(&to.me, b"hello");
        }
    }
    for node in &nodes {
        node.notes.wait_frames(3);
    }
    // A call that nobody answers, and one that is not a node's.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = Contact {
        id: RingId::new([9; 20]),
        incarnation: 1,
        addr: silent.local_addr().unwrap(),
    };
    nodes[0].say(&nobody, b"hello");
    let _stranger = TcpStream::connect(nodes[0].me.addr).unwrap();
    for node in nodes {
        let notes = Arc::clone(&node.notes);
        drop(node);
        assert_eq!(Arc::strong_count(&notes), 1, "a thread is left over");
    }
}
