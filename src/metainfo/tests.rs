use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::bencode::Item;

mod malformed;

/// A well-formed single-file torrent of 3 pieces, as entries to be changed.
fn good_info() -> BTreeMap<&'static str, Item<'static>> {
    BTreeMap::from([
        ("name", Item::from("file.bin")),
        ("piece length", 16_384.into()),
        ("length", 40_000.into()),
        ("pieces", vec![7; 60].into()),
    ])
}

fn torrent(info: BTreeMap<&'static str, Item<'static>>) -> Vec<u8> {
    Item::dict([("info", Item::dict(info))]).encode()
}

/// A key of `info` and its new value; `None` takes it out.
type Change = (&'static str, Option<Item<'static>>);

/// The well-formed torrent with some keys of `info` changed, or taken out.
fn changed(changes: &[Change]) -> Vec<u8> {
    let mut info = good_info();
    for (key, value) in changes {
        match value {
            Some(value) => info.insert(key, value.clone()),
            None => info.remove(key),
        };
    }
    torrent(info)
}

fn file(length: i64, path: &[&'static [u8]]) -> BTreeMap<&'static str, Item<'static>> {
    BTreeMap::from([
        ("length", length.into()),
        ("path", Item::list(path.iter().copied())),
    ])
}

/// A folder `top` of these entries, with as many hashes as their lengths make pieces.
fn folder(entries: impl IntoIterator<Item = BTreeMap<&'static str, Item<'static>>>) -> Vec<u8> {
    let entries: Vec<_> = entries.into_iter().map(Item::dict).collect();
    let length = |entry: &Item<'_>| match entry {
        Item::Dict(entry) => match entry.get(&b"length"[..]) {
            Some(Item::Int(length)) => (*length).max(0),
            _ => 0,
        },
        _ => 0,
    };
    let total: i64 = entries.iter().map(length).sum();
    let pieces = vec![1; total.unsigned_abs().div_ceil(16_384) as usize * 20];
    changed(&[
        ("length", None),
        ("name", Some("top".into())),
        ("pieces", Some(pieces.into())),
        ("files", Some(Item::List(entries))),
    ])
}

fn paths(bytes: &[u8]) -> Vec<String> {
    let info = Metainfo::parse(bytes).unwrap().info;
    info.files.iter().map(|file| file.path.join("/")).collect()
}

fn int(value: i64) -> Option<Item<'static>> {
    Some(value.into())
}

#[test]
fn a_single_file() {
    let bytes = torrent(good_info());
    let metainfo = Metainfo::parse(&bytes).unwrap();
    let info = &metainfo.info;
    assert_eq!(info.name, "file.bin");
    assert_eq!(
        info.files,
        [FileEntry {
            path: vec!["file.bin".into()],
            length: 40_000,
            padding: false
        }]
    );
    assert_eq!(info.geometry.piece_count(), 3);
    assert_eq!(info.piece_hashes, [[7; 20]; 3]);
    assert!(!info.multi_file && !info.private);
    assert_eq!(info.version, MetaVersion::V1);
    assert_eq!(&metainfo.raw[..], bytes);
    assert_eq!(&info.raw[..], &bytes[7..bytes.len() - 1]);
    assert_eq!(info.info_hash, InfoHash::of_info(&info.raw));
    assert_eq!(Info::parse(&info.raw).unwrap(), *info);
}

#[test]
fn the_info_hash_is_over_the_bytes_as_they_are() {
    // Keys out of order, a leading zero, an unknown key: all of it counts, none of it is tidied up.
    let info = b"d6:pieces20:aaaaaaaaaaaaaaaaaaaa4:name1:n12:piece lengthi016384e6:lengthi1e1:?l0:ee";
    let bytes = [
        b"d4:info",
        &info[..],
        b"8:announce9:http://t/",
        b"7:unknownd1:xi1eee\n\n",
    ]
    .concat();
    let metainfo = Metainfo::parse(&bytes).unwrap();
    assert_eq!(metainfo.info.info_hash, InfoHash::of_info(info));
    assert_eq!(&metainfo.info.raw[..], info);
    assert_eq!(&metainfo.raw[..], bytes);
    assert_eq!(metainfo.info.geometry.piece_length(), 16_384);
}

#[test]
fn an_empty_file_is_a_torrent_without_pieces() {
    let metainfo = Metainfo::parse(&changed(&[("length", int(0)), ("pieces", Some(vec![].into()))])).unwrap();
    assert_eq!(metainfo.info.geometry.piece_count(), 0);
}

#[test]
fn hostile_paths_stay_in_the_folder() {
    let long: &'static [u8] = &[b'n'; 300];
    let table: Vec<(Vec<&'static [u8]>, String)> = vec![
        (vec![b"sub", b"a.txt"], "top/sub/a.txt".into()),
        (
            vec![b"..", b"..", b"etc", b"passwd"],
            "top/__/__/etc/passwd".into(),
        ),
        (vec![b"/etc/passwd"], "top/_etc_passwd".into()),
        (vec![b"a/../../b"], "top/a_.._.._b".into()),
        (vec![b".", b"a"], "top/_/a".into()),
        (vec![b"", b"a", b""], "top/a".into()),
        (vec![b"a\0.txt"], "top/a_.txt".into()),
        (vec![b"caf\xe9"], "top/caf\u{fffd}".into()),
        (vec![long], format!("top/{}", "n".repeat(255))),
    ];
    for (path, safe) in table {
        assert_eq!(paths(&folder([file(1, &path)])), [safe]);
    }
    let named = |name: &'static [u8]| Metainfo::parse(&changed(&[("name", Some(name.into()))])).unwrap();
    assert_eq!(named(b"..").info.name, "__");
    assert_eq!(named(b"/abs").info.files[0].path, ["_abs"]);
    let nameless = named(b"").info;
    assert_eq!(nameless.name, nameless.info_hash.to_string());
}

#[test]
fn names_that_meet_are_told_apart() {
    let entries = [
        file(1, &[b"a"]),
        file(1, &[b"a"]),
        file(1, &[b"a", b"b"]),
        file(1, &[b"c\xff"]),
        file(1, &[b"c\xfe"]),
    ];
    assert_eq!(
        paths(&folder(entries)),
        [
            "top/a",
            "top/a (2)",
            "top/a (3)/b",
            "top/c\u{fffd}",
            "top/c\u{fffd} (2)"
        ]
    );
}

#[test]
fn names_in_utf8_are_preferred() {
    let utf8 = |bytes: &'static [u8]| Some(Item::from(bytes));
    let name = |changes: &[Change]| Metainfo::parse(&changed(changes)).unwrap().info.name;
    let latin: &'static [u8] = b"caf\xe9";
    assert_eq!(
        name(&[("name", utf8(latin)), ("name.utf-8", utf8("café".as_bytes()))]),
        "café"
    );
    assert_eq!(
        name(&[("name.utf-8", utf8(latin))]),
        "file.bin",
        "it is not UTF-8 after all"
    );
    assert_eq!(name(&[("name", None), ("name.utf-8", utf8(b"x"))]), "x");

    let mut entry = file(1, &[b"caf\xe9"]);
    entry.insert("path.utf-8", Item::list(["café"]));
    assert_eq!(paths(&folder([entry])), ["top/café"]);
    let mut entry = file(1, &[b"a"]);
    entry.insert("path.utf-8", Item::list([latin]));
    assert_eq!(paths(&folder([entry])), ["top/a"]);
}

#[test]
fn padding_and_links() {
    let with = |attributes: &'static str, mut entry: BTreeMap<&'static str, Item<'static>>| {
        entry.insert("attr", attributes.into());
        entry
    };
    let bytes = folder([
        file(10_000, &[b"a"]),
        with("p", file(6_384, &[b".pad", b"6384"])),
        with("lh", file(0, &[b"link"])),
        with("x", file(5, &[b"run.sh"])),
        with("p", file(16_379, &[])),
        with("l", file(3, &[b"odd"])),
        file(2, &[b"_____padding_file_0"]),
    ]);
    let files = Metainfo::parse(&bytes).unwrap().info.files;
    let shown: Vec<_> = files
        .iter()
        .map(|file| (file.path.join("/"), file.length, file.padding))
        .collect();
    let expected = [
        ("top/a", 10_000, false),
        ("top/.pad/2", 6_384, true),
        ("top/run.sh", 5, false),
        ("top/.pad/5", 16_379, true),
        ("top/odd", 3, false),
        ("top/_____padding_file_0", 2, false),
    ];
    assert_eq!(
        shown,
        expected.map(|(path, length, padding)| (path.to_owned(), length, padding))
    );
    let mut unmeasured = with("l", file(0, &[b"link"]));
    unmeasured.remove("length");
    assert_eq!(paths(&folder([unmeasured, file(1, &[b"a"])])), ["top/a"]);
    let nothing = folder([with("p", file(1, &[b"x"])), with("l", file(0, &[b"y"]))]);
    assert_eq!(Metainfo::parse(&nothing), Err(MetainfoError::NoFiles));
}

#[test]
fn a_hybrid_is_used_through_version_1() {
    let tree = Item::dict([(
        "file.bin",
        Item::dict([("", Item::dict([("length", 40_000.into())]))]),
    )]);
    let bytes = changed(&[("meta version", int(2)), ("file tree", Some(tree))]);
    let info = Metainfo::parse(&bytes).unwrap().info;
    assert_eq!(info.version, MetaVersion::Hybrid);
    assert_eq!(info.geometry.piece_count(), 3);
}

#[test]
fn only_a_one_makes_private() {
    for (value, private) in [
        (1.into(), true),
        (0.into(), false),
        (2.into(), false),
        ("1".into(), false),
    ] {
        let info = Metainfo::parse(&changed(&[("private", Some(value))]))
            .unwrap()
            .info;
        assert_eq!(info.private, private);
    }
}

fn with_root(entries: &[(&'static str, Item<'static>)]) -> Metainfo {
    let info = ("info", Item::dict(good_info()));
    Metainfo::parse(&Item::dict(entries.iter().cloned().chain([info])).encode()).unwrap()
}

#[test]
fn trackers_by_tier() {
    let announce = ("announce", Item::from("http://one/"));
    let tiers = |list: Item<'static>| with_root(&[announce.clone(), ("announce-list", list)]).tiers;
    let list = |tiers: &[&[&'static str]]| {
        Item::List(
            tiers
                .iter()
                .map(|tier| Item::list(tier.iter().copied()))
                .collect(),
        )
    };
    assert_eq!(with_root(&[]).tiers, Vec::<Vec<String>>::new());
    assert_eq!(
        with_root(std::slice::from_ref(&announce)).tiers,
        [["http://one/"]]
    );
    assert_eq!(
        tiers(list(&[&["a", "b"], &["c"]])),
        [vec!["a", "b"], vec!["c"]],
        "announce is left aside"
    );
    assert_eq!(tiers(list(&[&["a", " a ", ""], &["a"], &["b"]])), [["a"], ["b"]]);
    assert_eq!(
        tiers(list(&[&[], &[""]])),
        [["http://one/"]],
        "an empty list does not count"
    );
    assert_eq!(
        tiers(Item::list(["a", "b"])),
        [["a"], ["b"]],
        "inner lists left out"
    );
    assert_eq!(tiers(Item::list([&b"\xff"[..]])), [["http://one/"]]);
    assert_eq!(tiers(1.into()), [["http://one/"]]);
    let metainfo = with_root(&[("announce-list", list(&[&["a", "b"], &["c"]]))]);
    assert_eq!(metainfo.announce_urls().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn web_seeds_are_one_or_many() {
    let seeds = |value: Item<'static>| with_root(&[("url-list", value)]).web_seeds;
    assert_eq!(seeds("http://w/".into()), ["http://w/"]);
    assert_eq!(
        seeds(Item::list(["http://w/", "", "http://v/", "http://w/"])),
        ["http://w/", "http://v/"]
    );
    assert_eq!(seeds("".into()), Vec::<String>::new());
    assert_eq!(seeds(1.into()), Vec::<String>::new());
}

#[test]
fn magnet_links_escape_what_is_reserved() {
    let mut info = good_info();
    info.insert("name", "a&b c/ü".into());
    let bytes = Item::dict([
        ("announce", "http://t:1/a?x=1&y".into()),
        ("info", Item::dict(info)),
    ])
    .encode();
    let metainfo = Metainfo::parse(&bytes).unwrap();
    assert_eq!(
        metainfo.magnet(),
        format!(
            "magnet:?xt=urn:btih:{}&dn=a%26b%20c_%C3%BC&tr=http%3A%2F%2Ft%3A1%2Fa%3Fx%3D1%26y",
            metainfo.info.info_hash
        )
    );
}

#[test]
fn a_builder_writes_what_it_was_given() {
    let files = vec![
        (vec!["a".to_owned()], 20_000),
        (vec!["sub".to_owned(), "b".to_owned()], 0),
    ];
    let mut builder = Builder::new(
        "top".into(),
        Content::Folder(files),
        16_384,
        vec![[3; 20], [4; 20]],
    );
    builder.tiers = vec![
        vec!["http://a/".into(), "http://b/".into()],
        vec!["udp://c:1".into()],
    ];
    builder.web_seeds = vec!["http://w/".into()];
    builder.comment = Some("für alle".into());
    builder.private = true;
    builder.creation_date = Some(1_700_000_000);
    let metainfo = builder.build().unwrap();
    assert_eq!(metainfo.tiers, builder.tiers);
    assert_eq!(metainfo.web_seeds, builder.web_seeds);
    assert_eq!(metainfo.comment, builder.comment);
    assert_eq!(metainfo.created_by.as_deref(), Some("DTorrent 0.1.0"));
    assert_eq!(metainfo.creation_date, builder.creation_date);
    assert!(metainfo.info.private && metainfo.info.multi_file);
    assert_eq!(metainfo.info.piece_hashes, builder.piece_hashes);
    assert_eq!(metainfo.info.files[1].path, ["top", "sub", "b"]);
    assert_eq!(crate::bencode::decode_prefix(&metainfo.raw).unwrap().flaw, None);
}

#[test]
fn a_builder_refuses_parts_that_do_not_fit() {
    let build = |length, hashes| Builder::new("n".into(), Content::File(length), 16_384, hashes).build();
    assert_eq!(
        build(16_385, vec![[0; 20]]),
        Err(MetainfoError::PieceCount {
            expected: 2,
            found: 1
        })
    );
    assert_eq!(build(u64::MAX, vec![]), Err(MetainfoError::FileLength(1)));
}

fn any_builder() -> impl Strategy<Value = Builder> {
    let file = (prop::collection::vec("[a-zäé ]{1,12}", 1..4), 0u64..100_000);
    let urls = prop::collection::vec(prop::collection::hash_set("[a-z]{1,9}", 1..3), 0..3);
    (
        prop::collection::vec(file, 1..8),
        "[^/\0.]{1,60}",
        1u32..70_000,
        urls,
        any::<bool>(),
        any::<Option<i64>>(),
    )
        .prop_map(|(files, name, piece_length, urls, private, creation_date)| {
            let total: u64 = files.iter().map(|(_, length)| length).sum();
            let hashes = (0..total.div_ceil(piece_length.into()))
                .map(|n| [n as u8; 20])
                .collect();
            let mut builder = Builder::new(name, Content::Folder(files), piece_length, hashes);
            let mut seen = std::collections::HashSet::new();
            let mut tier = |urls: std::collections::HashSet<String>| -> Vec<String> {
                urls.into_iter().filter(|url| seen.insert(url.clone())).collect()
            };
            builder.tiers = urls
                .into_iter()
                .map(&mut tier)
                .filter(|tier| !tier.is_empty())
                .collect();
            builder.private = private;
            builder.creation_date = creation_date;
            builder
        })
}

proptest! {
    #[test]
    fn what_is_built_is_read(builder in any_builder()) {
        let metainfo = builder.build().unwrap();
        prop_assert_eq!(&metainfo.info.name, &builder.name);
        prop_assert_eq!(&metainfo.tiers, &builder.tiers);
        prop_assert_eq!(metainfo.creation_date, builder.creation_date);
        prop_assert_eq!(&metainfo.info.piece_hashes, &builder.piece_hashes);
        let Content::Folder(files) = &builder.content else { unreachable!() };
        let lengths: Vec<_> = metainfo.info.files.iter().map(|file| file.length).collect();
        prop_assert_eq!(lengths, files.iter().map(|(_, length)| *length).collect::<Vec<_>>());
        prop_assert_eq!(Metainfo::parse(&metainfo.raw).unwrap(), metainfo);
    }

    /// One byte changed anywhere: refused or read, never a panic, and lengths always fit the hashes.
    #[test]
    fn a_damaged_torrent_never_panics(builder in any_builder(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = builder.build().unwrap().raw.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(metainfo) = Metainfo::parse(&bytes) {
            let info = metainfo.info;
            prop_assert_eq!(info.piece_hashes.len(), info.geometry.piece_count() as usize);
            let total: u64 = info.files.iter().map(|file| file.length).sum();
            prop_assert_eq!(total, info.geometry.total_length());
            for part in info.files.iter().flat_map(|file| &file.path) {
                prop_assert!(!part.is_empty() && part.len() <= 255 && part != "." && part != "..");
                prop_assert!(!part.contains(['/', '\0']));
            }
        }
    }
}

#[test]
fn trackers_that_a_torrent_lacks_come_behind_its_own_and_nothing_else_changes() {
    let raw = b"d8:announce8:http://a4:infod6:lengthi4e4:name1:x12:piece lengthi16384e\
                6:pieces20:aaaaaaaaaaaaaaaaaaaae7:unknowni7ee";
    let torrent = Metainfo::parse(raw).unwrap();
    let tiers = |tiers: &[&[&str]]| -> Vec<Vec<String>> {
        let tier = |tier: &&[&str]| tier.iter().map(|url| (*url).to_owned()).collect();
        tiers.iter().map(tier).collect()
    };
    assert_eq!(torrent.with_trackers(&tiers(&[&["http://a"], &[]])), None);
    let more = torrent
        .with_trackers(&tiers(&[
            &["http://b", "http://a"],
            &["http://a"],
            &["udp://c:1"],
        ]))
        .unwrap();
    assert_eq!(more.tiers, tiers(&[&["http://a"], &["http://b"], &["udp://c:1"]]));
    assert_eq!(more.info, torrent.info);
    assert!(more.raw.windows(12).any(|part| part == b"7:unknowni7e"));
    let other = more
        .with_tiers(&tiers(&[&["http://z", "udp://c:1"], &[], &["http://b"]]))
        .unwrap();
    assert_eq!(other.tiers, tiers(&[&["http://z", "udp://c:1"], &["http://b"]]));
    assert_eq!(other.info, torrent.info);
    assert!(other.raw.starts_with(b"d8:announce8:http://z"));
    assert!(other.raw.windows(12).any(|part| part == b"7:unknowni7e"));
    let none = other.with_tiers(&[]).unwrap();
    assert!(none.tiers.is_empty() && none.info == torrent.info);
    let first = Metainfo::parse(&[b"d", &raw[b"d8:announce8:http://a".len()..]].concat()).unwrap();
    assert_eq!(
        first.with_trackers(&tiers(&[&["http://b"]])).unwrap().tiers,
        tiers(&[&["http://b"]])
    );
}
