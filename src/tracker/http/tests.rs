use proptest::prelude::*;

use super::*;
use crate::bencode::Item;
use crate::id::PeerId;
use crate::tracker::announce::Event;

fn request() -> AnnounceRequest {
    AnnounceRequest {
        info_hash: InfoHash::new(*b"\x00\x12&=?#%~-._aZ09\xff +/!"),
        peer_id: PeerId::new(*b"-DT0100-abcdefghijkl"),
        port: 6881,
        uploaded: 1,
        downloaded: 2,
        left: 3,
        event: Some(Event::Started),
        num_want: Some(200),
        key: 0xbeef,
        tracker_id: Some(b"a&b".to_vec()),
    }
}

#[test]
fn an_announce_is_a_url() {
    let parameters = "info_hash=%00%12%26%3D%3F%23%25~-._aZ09%FF%20%2B%2F%21&peer_id=-DT0100-abcdefghijkl\
                      &port=6881&uploaded=1&downloaded=2&left=3&compact=1&key=0000BEEF&numwant=200\
                      &event=started&trackerid=a%26b";
    for (tracker, start) in [
        ("http://t/announce", "http://t/announce?"),
        ("http://t/announce#part", "http://t/announce?"),
        ("http://t/announce?", "http://t/announce?"),
        ("http://t/announce?pass=x", "http://t/announce?pass=x&"),
        ("http://t/announce?pass=x&", "http://t/announce?pass=x&"),
        ("http://t", "http://t?"),
    ] {
        assert_eq!(announce_url(tracker, &request()), format!("{start}{parameters}"));
    }
}

#[test]
fn only_some_urls_have_a_scrape() {
    // The table of BEP 48.
    let hash = InfoHash::new([b'a'; 20]);
    let parameter = "info_hash=aaaaaaaaaaaaaaaaaaaa";
    for (tracker, scrape) in [
        ("http://e.com/announce", Some("http://e.com/scrape?")),
        ("http://e.com/x/announce", Some("http://e.com/x/scrape?")),
        ("http://e.com/announce.php", Some("http://e.com/scrape.php?")),
        ("http://e.com/a", None),
        (
            "http://e.com/announce?x2%0644",
            Some("http://e.com/scrape?x2%0644&"),
        ),
        ("http://e.com/announce?x=2/4", Some("http://e.com/scrape?x=2/4&")),
        ("http://e.com/x%064announce", None),
        ("", None),
    ] {
        let expected = scrape.map(|scrape| format!("{scrape}{parameter}"));
        assert_eq!(scrape_url(tracker, &hash), expected, "{tracker}");
    }
}

#[test]
fn answers_of_all_kinds_are_read() {
    let peers = |body: &[u8]| {
        let peers = decode_announce(body).unwrap().peers;
        peers.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
    };
    let table: &[(&str, &[u8], &[&str])] = &[
        ("empty", b"de", &[]),
        (
            "compact",
            b"d5:peers12:\x7f\0\0\x01\0\x50\x7f\0\0\x01\0\0e",
            &["127.0.0.1:80"],
        ),
        (
            "dictionaries",
            b"d5:peersld2:ip9:127.0.0.14:porti80eed2:ip3:::14:porti81eeee",
            &["127.0.0.1:80", "[::1]:81"],
        ),
        (
            "bad dictionaries",
            b"d5:peersld2:ip7:example4:porti80eedei5ed2:ip9:127.0.0.14:porti65536eed2:ip9:127.0.0.14:porti0eeee",
            &[],
        ),
        (
            "peers6",
            b"d5:peers0:6:peers618:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50e",
            &["[::1]:80"],
        ),
        ("peers of a wrong type", b"d5:peersi5ee", &[]),
    ];
    for (name, body, expected) in table {
        assert_eq!(peers(body), *expected, "{name}");
    }
}

#[test]
fn every_field_is_read_and_bad_ones_are_not() {
    let body = b"d8:completei5e10:downloadedi7e10:incompletei6e8:intervali900e12:min intervali300e\
                 5:peers0:10:tracker id2:ab15:warning message4:a\nbce";
    let response = AnnounceResponse {
        interval: Duration::from_secs(900),
        min_interval: Some(Duration::from_secs(300)),
        tracker_id: Some(b"ab".to_vec()),
        warning: Some("a bc".to_owned()),
        seeds: Some(5),
        leechers: Some(6),
        downloads: Some(7),
        peers: Vec::new(),
    };
    assert_eq!(decode_announce(body), Ok(response));
    let hostile = b"d8:completei-5e10:incompletei99999999999e8:intervali-1e12:min interval1:xe";
    let nothing = AnnounceResponse {
        interval: DEFAULT_INTERVAL,
        ..AnnounceResponse::default()
    };
    assert_eq!(decode_announce(hostile), Ok(nothing));
}

#[test]
fn what_is_no_answer_is_an_error() {
    assert!(matches!(decode_announce(b""), Err(HttpError::Bencode(_))));
    assert!(matches!(decode_announce(b"d5:peers"), Err(HttpError::Bencode(_))));
    assert!(matches!(decode_announce(b"<html>"), Err(HttpError::WebPage)));
    assert_eq!(decode_announce(b"i5e"), Err(HttpError::NotADictionary));
    let failure = encode_failure("no\x1b[2J");
    assert_eq!(
        decode_announce(&failure),
        Err(HttpError::Failure("no [2J".to_owned()))
    );
    assert_eq!(failure_reason(&failure).as_deref(), Some("no [2J"));
    assert_eq!(failure_reason(b"de"), None);
}

#[test]
fn the_number_of_peers_is_bounded() {
    let body = Item::dict([("peers", Item::from([127, 0, 0, 1, 0, 80].repeat(2 * MAX_PEERS)))]).encode();
    assert_eq!(decode_announce(&body).unwrap().peers.len(), MAX_PEERS);
}

#[test]
fn scrapes_are_read() {
    let (one, two) = (InfoHash::new([1; 20]), InfoHash::new([2; 20]));
    let counts = ScrapeCounts {
        seeds: 1,
        downloads: 2,
        leechers: 3,
    };
    let body = encode_scrape(&[(two, ScrapeCounts::default()), (one, counts)]);
    assert_eq!(decode_scrape(&body, &one), Ok(counts));
    let other = InfoHash::new([3; 20]);
    assert_eq!(decode_scrape(&body, &other), Err(HttpError::NotListed));
    assert_eq!(decode_scrape(b"de", &one), Err(HttpError::NotListed));
    let query = scrape_url("http://t/announce", &one).unwrap();
    let asked = |query| parse_scrape(query).collect::<Vec<_>>();
    assert_eq!(asked(query.split_once('?').unwrap().1), [one]);
    assert_eq!(asked("info_hash=short&info_hash="), []);
}

#[test]
fn a_tracker_refuses_bad_announces() {
    let hash = "info_hash=aaaaaaaaaaaaaaaaaaaa";
    let peer = "peer_id=bbbbbbbbbbbbbbbbbbbb";
    for (query, missing) in [
        (String::new(), "info_hash"),
        ("info_hash=a".to_owned(), "info_hash"),
        (hash.to_owned(), "peer_id"),
        (format!("{hash}&{peer}"), "port"),
        (format!("{hash}&{peer}&port=65536"), "port"),
        (format!("{hash}&{peer}&port=-1"), "port"),
    ] {
        assert_eq!(
            parse_announce(&query),
            Err(HttpError::BadParameter(missing)),
            "{query}"
        );
    }
    let odd = parse_announce(&format!("{hash}&{peer}&port=1&left=x&key=zz&event=odd&ip=host")).unwrap();
    let request = odd.request;
    assert_eq!((request.left, request.key, request.event), (u64::MAX, 0, None));
    assert_eq!((odd.form, odd.ip), (PeersForm::Compact, None));
}

#[test]
fn a_tracker_reads_what_only_http_can_say() {
    let start = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1";
    let parse = |rest: &str| parse_announce(&format!("{start}&{rest}")).unwrap();
    for (rest, form) in [
        ("compact=0", PeersForm::Dictionaries),
        ("compact=1", PeersForm::Compact),
        ("compact", PeersForm::Compact),
        ("compact=0&compact=1", PeersForm::Dictionaries),
        ("no_peer_id=1", PeersForm::Compact),
    ] {
        assert_eq!(parse(rest).form, form, "{rest}");
    }
    for (rest, ip) in [
        ("ip=192.0.2.1", Some("192.0.2.1")),
        ("ip=2001:db8::1", Some("2001:db8::1")),
        ("ip=2001%3Adb8%3a%3A1", Some("2001:db8::1")),
        ("ip=::ffff:192.0.2.1", Some("192.0.2.1")),
        ("ip=example.net", None),
        ("ip=", None),
        ("ip=%ff", None),
        ("ip=1.2.3.4.5", None),
    ] {
        assert_eq!(parse(rest).ip, ip.map(|ip| ip.parse().unwrap()), "{rest}");
    }
    assert_eq!(parse("port=2").request.port, 1, "the first of two counts");
    assert_eq!(parse("left=0").request.left, 0);
}

#[test]
fn the_other_form_is_a_list_of_dictionaries() {
    let response = AnnounceResponse {
        interval: Duration::from_secs(1),
        peers: vec![
            "127.0.0.1:80".parse().unwrap(),
            "[2001:db8::1]:65535".parse().unwrap(),
        ],
        ..AnnounceResponse::default()
    };
    let mut body = Vec::new();
    write_announce(&response, PeersForm::Dictionaries, &mut body);
    let expected = "d8:intervali1e5:peersld2:ip9:127.0.0.14:porti80eed2:ip11:2001:db8::14:porti65535eeee";
    assert_eq!(body.escape_ascii().to_string(), expected);
    assert_eq!(decode_announce(&body).unwrap(), response);
}

#[test]
fn decimals_are_written() {
    for number in [0, 7, 10, 99, 100, 65_535, u64::from(u32::MAX), u64::MAX] {
        let mut out = Vec::new();
        write_decimal(number, &mut out);
        assert_eq!(out, number.to_string().as_bytes());
    }
}

fn any_event() -> impl Strategy<Value = Option<Event>> {
    prop::sample::select(vec![
        None,
        Some(Event::Started),
        Some(Event::Completed),
        Some(Event::Stopped),
    ])
}

proptest! {
    #[test]
    fn a_tracker_reads_what_a_client_writes(
        hash: [u8; 20], id: [u8; 20], port: u16, totals: (u64, u64, u64), event in any_event(),
        num_want: Option<u32>, key: u32, tracker_id: Option<Vec<u8>>,
    ) {
        let request = AnnounceRequest {
            info_hash: InfoHash::new(hash),
            peer_id: PeerId::new(id),
            port,
            uploaded: totals.0,
            downloaded: totals.1,
            left: totals.2,
            event,
            num_want,
            key,
            tracker_id,
        };
        let url = announce_url("http://t/announce", &request);
        prop_assert!(url.parse::<::http::Uri>().is_ok());
        let expected = AnnounceQuery { request, form: PeersForm::Compact, ip: None };
        prop_assert_eq!(parse_announce(url.split_once('?').unwrap().1), Ok(expected));
    }

    #[test]
    fn a_client_reads_what_a_tracker_writes(
        interval: u32, min_interval: Option<u32>, tracker_id: Option<Vec<u8>>, warning in "[ -~]{0,40}",
        counts: (Option<u32>, Option<u32>, Option<u32>), ports in prop::collection::vec(1u16.., 0..20),
    ) {
        let response = AnnounceResponse {
            interval: Duration::from_secs(interval.into()),
            min_interval: min_interval.map(|seconds| Duration::from_secs(seconds.into())),
            tracker_id,
            warning: Some(warning),
            seeds: counts.0,
            leechers: counts.1,
            downloads: counts.2,
            peers: ports.into_iter().map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect(),
        };
        prop_assert_eq!(decode_announce(&encode_announce(&response)), Ok(response));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, query: String) {
        let _ = decode_announce(&bytes);
        let _ = decode_scrape(&bytes, &InfoHash::new([0; 20]));
        let _ = parse_announce(&query);
        let _ = parse_scrape(&query).count();
        let _ = scrape_url(&query, &InfoHash::new([0; 20]));
    }
}
