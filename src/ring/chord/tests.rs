//! Every kind of message there and back, and what must be refused.

use proptest::prelude::*;

use super::*;

fn contact() -> impl Strategy<Value = Contact> {
    (
        any::<[u8; 20]>(),
        any::<u64>(),
        any::<u16>(),
        any::<Option<u128>>(),
    )
        .prop_map(|(id, incarnation, port, six)| Contact {
            id: RingId::new(id),
            incarnation,
            addr: match six {
                // Outside of the mapped range, which is told as IPv4.
                Some(six) => (std::net::Ipv6Addr::from(six | 1 << 127), port).into(),
                None => ([192, 0, 2, 1], port).into(),
            },
        })
}

fn neighbours(most: usize) -> impl Strategy<Value = Vec<Neighbour>> {
    let one = (contact(), any::<bool>()).prop_map(|(contact, serving)| Neighbour { contact, serving });
    prop::collection::vec(one, 0..=most)
}

fn message() -> impl Strategy<Value = ChordMessage> {
    let request = any::<u32>;
    prop_oneof![
        request().prop_map(|request| ChordMessage::Ping { request }),
        request().prop_map(|request| ChordMessage::Pong { request }),
        request().prop_map(|request| ChordMessage::Ask { request }),
        (
            request(),
            any::<bool>(),
            neighbours(MAX_PREDS),
            neighbours(MAX_SUCC)
        )
            .prop_map(|(request, serving, preds, succ)| ChordMessage::State {
                request,
                state: NodeState { serving, preds, succ },
            }),
        request().prop_map(|request| ChordMessage::Busy { request }),
        request().prop_map(|request| ChordMessage::Outside { request }),
        (any::<bool>(), neighbours(MAX_PREDS))
            .prop_map(|(serving, preds)| ChordMessage::Notify { serving, preds }),
        Just(ChordMessage::Candidate),
        (request(), any::<[u8; 20]>(), any::<bool>()).prop_map(|(request, key, owner)| ChordMessage::Find {
            request,
            key: RingId::new(key),
            want: if owner { Want::Owner } else { Want::Predecessor },
        }),
        (request(), neighbours(MAX_FOUND))
            .prop_filter("an owner", |(_, owners)| !owners.is_empty())
            .prop_map(|(request, owners)| ChordMessage::Found { request, owners }),
        (request(), prop::collection::vec(contact(), 0..=MAX_NEXT))
            .prop_map(|(request, nodes)| ChordMessage::Next { request, nodes }),
        (
            any::<bool>(),
            prop::collection::vec(
                (contact(), any::<u32>()).prop_map(|(contact, age)| Heard { contact, age }),
                0..=MAX_GOSSIP
            )
        )
            .prop_map(|(answer, members)| ChordMessage::Gossip { answer, members }),
        Just(ChordMessage::Leaving),
        any::<u64>().prop_map(|incarnation| ChordMessage::Stale { incarnation }),
    ]
}

fn encoded(message: &ChordMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut Writer::new(&mut bytes));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn messages_round_trip_and_every_shorter_one_is_refused(message in message()) {
        let (kind, bytes) = (message.kind(), encoded(&message));
        prop_assert_eq!(ChordMessage::decode(kind, &bytes), Ok(Some(message)));
        for len in 0..bytes.len() {
            prop_assert_eq!(ChordMessage::decode(kind, &bytes[..len]), Err(DecodeError::Truncated), "{} bytes", len);
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(ChordMessage::decode(kind, &longer), Err(DecodeError::TrailingBytes(1)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(kind in 0x10..0x20_u8, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(Some(message)) = ChordMessage::decode(kind, &bytes) {
            prop_assert_eq!(ChordMessage::decode(kind, &encoded(&message)), Ok(Some(message)));
        }
    }
}

#[test]
fn the_bytes_are_as_documented() {
    for (message, kind, expected) in [
        (
            ChordMessage::Ping { request: 0x0102_0304 },
            0x10,
            &[1, 2, 3, 4][..],
        ),
        (ChordMessage::Busy { request: 7 }, 0x14, &[0, 0, 0, 7]),
        (
            ChordMessage::Notify {
                serving: true,
                preds: vec![],
            },
            0x16,
            &[1, 0],
        ),
        (ChordMessage::Candidate, 0x17, &[]),
        (ChordMessage::Leaving, 0x1c, &[]),
        (
            ChordMessage::Stale { incarnation: 258 },
            0x1d,
            &[0, 0, 0, 0, 0, 0, 1, 2],
        ),
    ] {
        assert_eq!(
            (message.kind(), &encoded(&message)[..]),
            (kind, expected),
            "{message:?}"
        );
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let find = |want: u8| [&[0, 0, 0, 1][..], &[0; 20], &[want]].concat();
    let bad = |field, value| Err(DecodeError::BadValue { field, value });
    let truncated = Err(DecodeError::Truncated);
    for (name, kind, bytes, expected) in [
        ("a ping of nothing", 0x10, vec![], truncated.clone()),
        ("a flag of 2", 0x16, vec![2, 0], bad("flag", 2)),
        (
            "more predecessors than may be",
            0x16,
            vec![1, 9],
            bad("list length", 9),
        ),
        (
            "255 successors",
            0x13,
            vec![0, 0, 0, 1, 1, 0, 255],
            bad("list length", 255),
        ),
        ("a list longer than the message", 0x16, vec![1, 8], truncated),
        ("33 members", 0x1b, vec![0, 33], bad("list length", 33)),
        ("5 next nodes", 0x1a, vec![0, 0, 0, 1, 5], bad("list length", 5)),
        ("6 owners", 0x19, vec![0, 0, 0, 1, 6], bad("list length", 6)),
        ("no owner", 0x19, vec![0, 0, 0, 1, 0], bad("number of owners", 0)),
        ("a wish that is none", 0x18, find(2), bad("wanted node", 2)),
        (
            "a byte behind the end",
            0x1c,
            vec![0],
            Err(DecodeError::TrailingBytes(1)),
        ),
        ("a kind of later days", 0x1e, vec![1, 2, 3], Ok(None)),
        ("a kind of somebody else", 0x40, vec![1], Ok(None)),
    ] {
        assert_eq!(ChordMessage::decode(kind, &bytes), expected, "{name}");
    }
}
