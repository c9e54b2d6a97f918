use proptest::prelude::*;

use super::*;

#[test]
fn what_is_refused() {
    use DecodeError::*;
    let table: &[(&str, &[u8], DecodeError)] = &[
        ("nothing", b"", Truncated { offset: 0 }),
        (
            "no value",
            b"x",
            Unexpected {
                offset: 0,
                byte: b'x',
            },
        ),
        (
            "a lone end",
            b"e",
            Unexpected {
                offset: 0,
                byte: b'e',
            },
        ),
        ("integer without digits", b"ie", Integer { offset: 0 }),
        ("integer of a sign", b"i-e", Integer { offset: 0 }),
        ("integer with a plus", b"i+1e", Integer { offset: 0 }),
        ("integer with a space", b"i 1e", Integer { offset: 0 }),
        ("integer with a fraction", b"i1.5e", Integer { offset: 0 }),
        ("integer cut short", b"i12", Truncated { offset: 3 }),
        ("length cut short", b"12", Truncated { offset: 2 }),
        ("length without colon", b"3abc", Length { offset: 0 }),
        (
            "length beyond memory",
            b"99999999999999999999999:",
            Length { offset: 0 },
        ),
        (
            "string cut short",
            b"5:abcd",
            StringPastEnd { offset: 0, length: 5 },
        ),
        (
            "string of all memory",
            b"18446744073709551615:",
            StringPastEnd {
                offset: 0,
                length: usize::MAX,
            },
        ),
        (
            "negative length",
            b"-1:",
            Unexpected {
                offset: 0,
                byte: b'-',
            },
        ),
        ("open list", b"li1e", Truncated { offset: 4 }),
        ("open dictionary", b"d1:ai1e", Truncated { offset: 7 }),
        ("key without value", b"d1:ae", KeyWithoutValue { offset: 4 }),
        (
            "integer as key",
            b"di1ei2ee",
            Unexpected {
                offset: 1,
                byte: b'i',
            },
        ),
        (
            "list as key",
            b"dle1:ae",
            Unexpected {
                offset: 1,
                byte: b'l',
            },
        ),
        ("data after the end", b"i1ei2e", Trailing { offset: 3 }),
    ];
    for (name, bytes, error) in table {
        assert_eq!(decode(bytes), Err(*error), "{name}");
    }
}

#[test]
fn what_is_let_pass_and_reported() {
    let table: &[(&[u8], Option<Flaw>)] = &[
        (b"d1:ai1e1:bi2ee", None),
        (b"i-1e", None),
        (b"i0e", None),
        (b"0:", None),
        (b"d1:bi1e1:ai2ee", Some(Flaw::KeyOrder(7))),
        (b"d1:ai1e1:ai2ee", Some(Flaw::KeyOrder(7))),
        (b"i007e", Some(Flaw::Integer(0))),
        (b"i-0e", Some(Flaw::Integer(0))),
        (b"l03:abce", Some(Flaw::Length(1))),
        (b"i1e\r\n", Some(Flaw::Trailing(3))),
    ];
    for (bytes, flaw) in table {
        assert_eq!(
            decode_prefix(bytes).unwrap().flaw,
            *flaw,
            "{}",
            bytes.escape_ascii()
        );
        decode(bytes).unwrap();
    }
}

#[test]
fn nesting_is_bounded_and_costs_no_stack() {
    let nested = |depth: usize| [vec![b'l'; depth], vec![b'e'; depth]].concat();
    assert!(decode(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(
        decode(&nested(MAX_DEPTH + 1)),
        Err(DecodeError::TooDeep { offset: MAX_DEPTH })
    );
    let hostile = vec![b'l'; 10_000_000];
    assert_eq!(decode(&hostile), Err(DecodeError::TooDeep { offset: MAX_DEPTH }));
    let dicts = b"d1:a".repeat(1000);
    assert_eq!(
        decode(&dicts),
        Err(DecodeError::TooDeep {
            offset: 4 * MAX_DEPTH
        })
    );
}

#[test]
fn integers_to_the_edge_and_beyond() {
    let table: &[(&[u8], Option<i64>)] = &[
        (b"i9223372036854775807e", Some(i64::MAX)),
        (b"i-9223372036854775808e", Some(i64::MIN)),
        (b"i9223372036854775808e", None),
        (b"i99999999999999999999999999999999999999999e", None),
        (b"i007e", Some(7)),
        (b"1:7", None),
    ];
    for (bytes, value) in table {
        assert_eq!(
            decode(bytes).unwrap().as_int(),
            *value,
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn views_give_the_exact_bytes() {
    let bytes = b"d4:infod1:xli1e2:abee1:zi3ee";
    let dict = decode(bytes).unwrap().as_dict().unwrap();
    let info = dict.get("info").unwrap();
    assert_eq!(info.raw(), b"d1:xli1e2:abee");
    let list: Vec<_> = info.as_dict().unwrap().list("x").unwrap().collect();
    assert_eq!(
        (list[0].as_int(), list[1].as_bytes()),
        (Some(1), Some(&b"ab"[..]))
    );
    assert_eq!(dict.int("z"), Some(3));
    assert_eq!(dict.get("y"), None);
    assert_eq!(info.as_list().map(Iterator::count), None);
    assert_eq!(info.as_int(), None);
}

#[test]
fn the_first_of_two_equal_keys_counts() {
    let value = decode(b"d1:ai1e1:ai2ee").unwrap();
    assert_eq!(value.as_dict().unwrap().int("a"), Some(1));
}

#[test]
fn the_keys_that_were_looked_for_are_there() {
    let value = decode(b"d1:ai1e1:bl1:xe1:ai2e1:c1:ye").unwrap();
    let dict = value.as_dict().unwrap();
    let fields = dict.only(&["c", "a", "d"]);
    assert_eq!((fields.int("a"), fields.str("c")), (Some(1), Some("y")));
    assert!(fields.get("d").is_none() && fields.get("b").is_none());
}

#[test]
fn a_payload_may_follow() {
    let decoded = decode_prefix(b"d8:msg_typei1eePAYLOAD").unwrap();
    assert_eq!(decoded.rest, b"PAYLOAD");
    assert_eq!(decoded.value.raw(), b"d8:msg_typei1ee");
}

/// The value as an [`Item`], to compare.
fn item_of(value: Value<'_>) -> Item<'_> {
    if let Some(dict) = value.as_dict() {
        return Item::Dict(
            dict.iter()
                .map(|(key, value)| (key.into(), item_of(value)))
                .collect(),
        );
    }
    if let Some(list) = value.as_list() {
        return Item::List(list.map(item_of).collect());
    }
    match value.as_int() {
        Some(value) => Item::Int(value),
        None => value.as_bytes().unwrap().into(),
    }
}

fn any_item() -> impl Strategy<Value = Item<'static>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![any::<i64>().prop_map(Item::Int), bytes().prop_map(Item::from)];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let entry = (bytes().prop_map(Into::into), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Item::List),
            prop::collection::vec(entry, 0..6).prop_map(|entries| Item::Dict(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(item in any_item()) {
        let bytes = item.encode();
        let decoded = decode_prefix(&bytes).unwrap();
        prop_assert_eq!(decoded.flaw, None);
        prop_assert_eq!(item_of(decoded.value), item);
    }

    #[test]
    fn every_cut_is_noticed(item in any_item(), cut in any::<prop::sample::Index>()) {
        let bytes = item.encode();
        prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    /// What is accepted can be walked to its last value: views never run out of their bytes.
    #[test]
    fn noise_never_panics(bytes in "[dleil0-9:a\\-]{0,40}") {
        if let Ok(decoded) = decode_prefix(bytes.as_bytes()) {
            fn walk(value: Value<'_>) -> usize {
                let inner: usize = match (value.as_list(), value.as_dict()) {
                    (Some(list), _) => list.map(|value| walk(value)).sum::<usize>() + 2,
                    (_, Some(dict)) => {
                        let string = |key: &[u8]| Item::from(key).encode().len();
                        dict.iter().map(|(key, value)| string(key) + walk(value)).sum::<usize>() + 2
                    }
                    _ => value.raw().len(),
                };
                inner
            }
            if decoded.flaw.is_none() {
                prop_assert_eq!(walk(decoded.value), decoded.value.raw().len());
            }
        }
    }
}
