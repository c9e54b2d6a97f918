//! Every setting on loopback; interfaces are tested in `tests/bind_namespace.rs`.

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);

fn factory(bind: &str) -> SocketFactory {
    SocketFactory::new(bind).unwrap()
}

#[test]
fn the_setting_is_nothing_an_address_or_an_interface() {
    for (text, expected) in [
        ("", Some(Bind::Anything)),
        ("  ", Some(Bind::Anything)),
        ("127.0.1.5", Some(Bind::Address([127, 0, 1, 5].into()))),
        ("::1", Some(Bind::Address(Ipv6Addr::LOCALHOST.into()))),
        ("eth0", Some(Bind::Interface("eth0".into()))),
        ("enp0s31f6.100", Some(Bind::Interface("enp0s31f6.100".into()))),
        ("..", None),
        ("a/b", None),
        ("fe80::1%eth0", None),
        ("two words", None),
        ("sixteen-letters-", None),
        ("nul\0", None),
    ] {
        assert_eq!(Bind::parse(text).ok(), expected, "{text:?}");
    }
}

#[test]
fn a_bound_address_is_the_source_of_every_socket() {
    let factory = factory("127.0.1.5");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let expected: IpAddr = [127, 0, 1, 5].into();

    let _blocking = factory.connect(addr, TIMEOUT).unwrap();
    assert_eq!(listener.accept().unwrap().1.ip(), expected);
    let _dialled = factory.start_connect(addr).unwrap();
    assert_eq!(listener.accept().unwrap().1.ip(), expected);
    assert_eq!(factory.udp(false).unwrap().local_addr().unwrap().ip(), expected);
    let ours = factory.listen(0).unwrap();
    assert_eq!(ours.len(), 1, "only the family of the address");
    assert_eq!(ours[0].local_addr().unwrap().ip(), expected);
}

#[test]
fn a_bound_address_makes_no_socket_of_the_other_family() {
    let factory = factory("127.0.1.5");
    let error = factory.connect("[::1]:1".parse().unwrap(), TIMEOUT).unwrap_err();
    assert!(error.to_string().contains("IPv6"), "{error}");
    assert!(factory.udp(true).is_err());
}

#[test]
fn an_address_of_another_machine_fails_closed() {
    let factory = factory("192.0.2.1");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    for error in [
        factory.connect(addr, TIMEOUT).unwrap_err().to_string(),
        factory.start_connect(addr).unwrap_err().to_string(),
        factory.udp(false).unwrap_err().to_string(),
        factory.listen(0).unwrap_err().to_string(),
    ] {
        assert!(
            error.contains("192.0.2.1") && error.contains("network.bind"),
            "{error}"
        );
    }
}

#[test]
fn a_missing_interface_fails_closed_until_the_setting_changes() {
    let factory = factory("dt-missing0");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    for error in [
        factory.connect(addr, TIMEOUT).unwrap_err().to_string(),
        factory.start_connect(addr).unwrap_err().to_string(),
        factory.udp(false).unwrap_err().to_string(),
        factory.listen(0).unwrap_err().to_string(),
    ] {
        assert!(error.contains("dt-missing0 does not exist"), "{error}");
    }
    assert_eq!(factory.interface_index().unwrap(), Some(0));

    assert!(factory.rebind("no/name").is_err());
    assert!(factory.connect(addr, TIMEOUT).is_err(), "the old setting stays");
    factory.rebind("").unwrap();
    factory.connect(addr, TIMEOUT).unwrap();
    assert_eq!(factory.interface_index().unwrap(), None);
}

#[test]
fn both_families_listen_on_one_port() {
    let listeners = factory("").listen(0).unwrap();
    let ports: Vec<u16> = listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap().port())
        .collect();
    assert!(
        ports.iter().all(|port| *port == ports[0] && *port != 0),
        "{ports:?}"
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = factory("127.0.0.1").listen(port).unwrap_err().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
}

#[test]
fn a_connection_in_progress_becomes_writable_and_sends_without_delay() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = factory("").start_connect(listener.local_addr().unwrap()).unwrap();
    let mut fds = [rustix::event::PollFd::new(&stream, rustix::event::PollFlags::OUT)];
    let timeout = rustix::event::Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    assert_eq!(rustix::event::poll(&mut fds, Some(&timeout)).unwrap(), 1);
    assert!(stream.take_error().unwrap().is_none());
    assert!(stream.nodelay().unwrap());
}
