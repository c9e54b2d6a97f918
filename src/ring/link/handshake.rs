//! The first words between two nodes. Layer 3, over anything that reads and writes.
//!
//! ```text
//! → "dtring", version of the handshake (2 bytes), Noise message 1: e
//! ← the same,                                     Noise message 2: e, ee, s, es
//! →                                               Noise message 3: s, se, psk, hello
//! ←                                               first transport message: hello, or why not
//! ```
//!
//! Noise (revision 34, §9) proves the static key and the ring key of the opening side with message 3, and those of
//! the other one with its answer. Both sides add fresh ephemeral keys, so nothing recorded can be played again.
//! Nothing about the nodes but that they are some is told before; the caller bounds the time.

use std::io::{self, Read, Write};

use snow::{HandshakeState, StatelessTransportState};

use super::hello::{Hello, Refusal, Reply, decode_reply, encode_reply};
use super::keys::{NodeKey, PublicKey, RingKey};
use super::noise::{Opener, PATTERN, PREFIX_LENGTH, Sealer, TAG_LENGTH, part};
use crate::ring::codec::{DecodeError, Reader, Writer};

/// What both sides say first: six letters and the version of the handshake. It goes into the hash that both
/// compare.
const PREAMBLE: [u8; 8] = *b"dtring\0\x01";

/// Bytes of a public key.
const KEY_LENGTH: usize = 32;

/// Bytes of message 1, which has a fixed length. A peer that announces another one is no node.
const FIRST_LENGTH: usize = KEY_LENGTH + TAG_LENGTH;

/// Bytes of message 2.
const SECOND_LENGTH: usize = 2 * KEY_LENGTH + 2 * TAG_LENGTH;

/// Most bytes of what carries a hello or a reply, with room for later versions.
const MAX_LENGTH: usize = 1_024;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection failed or the time was up.
    #[error("the connection failed in the handshake: {0}")]
    Io(#[from] io::Error),
    /// It is no node of any ring.
    #[error("it is no ring node: its first bytes are \"{}\"", .0.escape_ascii())]
    NoNode([u8; 8]),
    /// It is, of another generation.
    #[error("its handshake has version {theirs}, ours has {}", PREAMBLE[7])]
    OtherHandshake {
        /// Its version.
        theirs: u16,
    },
    /// A message has a length that it cannot have.
    #[error("message {message} of its handshake has {length} bytes")]
    Length {
        /// From 1.
        message: u8,
        /// What it announced.
        length: usize,
    },
    /// A message cannot be opened.
    #[error("message {message} of its handshake cannot be opened")]
    Garbage {
        /// From 1.
        message: u8,
    },
    /// The opening side does not know the ring key.
    #[error("it does not know the key of this ring")]
    WrongKey,
    /// The other side went away instead of answering our hello.
    #[error("it closed the connection after our hello; does it have the same ring key?")]
    NoAnswer,
    /// The hello or the reply makes no sense.
    #[error("its hello makes no sense: {0}")]
    BadHello(#[from] DecodeError),
    /// It does not want a link with us.
    #[error("it refused: {0}")]
    Refused(Refusal),
    /// We gave up ourselves, as there is a link by now.
    #[error("a link came from the other side meanwhile")]
    Overtaken,
    /// This side could not do its part.
    #[error("our side of the handshake failed: {0}")]
    Noise(#[from] snow::Error),
}

/// Our keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) ring: &'a RingKey,
    pub(super) node: &'a NodeKey,
}

/// A handshake that went through.
#[derive(Debug)]
pub(super) struct Agreed {
    /// What the other side proved to have.
    pub(super) key: PublicKey,
    pub(super) hello: Hello,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
}

/// The opening side. `hello` is asked for last, when we are to say something that binds us; it may think better
/// of it.
pub(super) fn open<S: Read + Write>(
    stream: &mut S,
    keys: Keys<'_>,
    hello: impl FnOnce() -> Option<Hello>,
) -> Result<Agreed, HandshakeError> {
    let mut noise = builder(keys)?.build_initiator()?;
    let mut out = PREAMBLE.to_vec();
    write_message(&mut noise, &[], &mut out)?;
    stream.write_all(&out)?;

    read_preamble(stream)?;
    let second = read_message(stream, 2, SECOND_LENGTH..=SECOND_LENGTH)?;
    open_message(&mut noise, &second).ok_or(HandshakeError::Garbage { message: 2 })?;

    let said = hello().ok_or(HandshakeError::Overtaken)?;
    let mut payload = Vec::new();
    said.encode(&mut Writer::new(&mut payload));
    out.clear();
    write_message(&mut noise, &payload, &mut out)?;
    stream.write_all(&out)?;

    let (key, transport) = finish(noise)?;
    let (sealer, mut opener) = part(transport);
    let sealed = read_message(stream, 4, TAG_LENGTH..=MAX_LENGTH).map_err(|error| match error {
        HandshakeError::Io(error) if is_end(&error) => HandshakeError::NoAnswer,
        error => error,
    })?;
    let mut plain = vec![0; sealed.len()];
    let length = opener
        .open(&sealed, &mut plain)
        .map_err(|_| HandshakeError::Garbage { message: 4 })?;
    let reply = decode_reply(&mut Reader::new(&plain[..length]))?;
    Ok(Agreed {
        key,
        hello: reply.map_err(HandshakeError::Refused)?,
        sealer,
        opener,
    })
}

/// The other side, up to the hello of the one that opened the connection. It waits for [`answer`].
pub(super) fn listen<S: Read + Write>(stream: &mut S, keys: Keys<'_>) -> Result<Agreed, HandshakeError> {
    let mut noise = builder(keys)?.build_responder()?;
    read_preamble(stream)?;
    let first = read_message(stream, 1, FIRST_LENGTH..=FIRST_LENGTH)?;
    open_message(&mut noise, &first).ok_or(HandshakeError::Garbage { message: 1 })?;

    let mut out = PREAMBLE.to_vec();
    write_message(&mut noise, &[], &mut out)?;
    stream.write_all(&out)?;

    let third = read_message(stream, 3, TAG_LENGTH..=MAX_LENGTH)?;
    // The static key in it is sealed with what both sides have by now; what is left to fail is the ring key.
    let payload = open_message(&mut noise, &third).ok_or(HandshakeError::WrongKey)?;
    let hello = Hello::decode(&mut Reader::new(&payload))?;
    let (key, transport) = finish(noise)?;
    let (sealer, opener) = part(transport);
    Ok(Agreed {
        key,
        hello,
        sealer,
        opener,
    })
}

/// Answers the hello that [`listen`] heard.
pub(super) fn answer<S: Write>(
    stream: &mut S,
    agreed: &mut Agreed,
    reply: &Reply,
) -> Result<(), HandshakeError> {
    let (mut plain, mut out) = (Vec::new(), Vec::new());
    encode_reply(reply, &mut Writer::new(&mut plain));
    agreed.sealer.seal(&plain, &mut out)?;
    Ok(stream.write_all(&out)?)
}

fn builder(keys: Keys<'_>) -> Result<snow::Builder<'_>, HandshakeError> {
    Ok(snow::Builder::new(PATTERN.parse()?)
        .prologue(&PREAMBLE)?
        .local_private_key(keys.node.as_bytes())?
        .psk(3, keys.ring.as_bytes())?)
}

fn finish(noise: HandshakeState) -> Result<(PublicKey, StatelessTransportState), HandshakeError> {
    let key = noise.get_remote_static().and_then(|key| key.try_into().ok());
    let key = PublicKey::new(key.ok_or(snow::Error::Input)?);
    Ok((key, noise.into_stateless_transport_mode()?))
}

fn write_message(
    noise: &mut HandshakeState,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), HandshakeError> {
    let mut message = [0; MAX_LENGTH];
    let length = noise.write_message(payload, &mut message)?;
    // `MAX_LENGTH` bounds it.
    out.extend_from_slice(&(length as u16).to_be_bytes());
    out.extend_from_slice(&message[..length]);
    Ok(())
}

fn open_message(noise: &mut HandshakeState, message: &[u8]) -> Option<Vec<u8>> {
    let mut payload = vec![0; message.len()];
    let length = noise.read_message(message, &mut payload).ok()?;
    payload.truncate(length);
    Some(payload)
}

fn read_preamble<S: Read>(stream: &mut S) -> Result<(), HandshakeError> {
    let mut preamble = [0; PREAMBLE.len()];
    stream.read_exact(&mut preamble)?;
    let [name @ .., high, low] = preamble;
    if !PREAMBLE.starts_with(&name) {
        return Err(HandshakeError::NoNode(preamble));
    }
    match preamble == PREAMBLE {
        true => Ok(()),
        false => Err(HandshakeError::OtherHandshake {
            theirs: u16::from_be_bytes([high, low]),
        }),
    }
}

fn read_message<S: Read>(
    stream: &mut S,
    message: u8,
    allowed: std::ops::RangeInclusive<usize>,
) -> Result<Vec<u8>, HandshakeError> {
    let mut prefix = [0; PREFIX_LENGTH];
    stream.read_exact(&mut prefix)?;
    let length = usize::from(u16::from_be_bytes(prefix));
    if !allowed.contains(&length) {
        return Err(HandshakeError::Length { message, length });
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;
    use crate::id::RingId;
    use crate::ring::contact::Contact;

    const RING: RingKey = RingKey::PUBLIC;
    const ONE: NodeKey = NodeKey::new([1; 32]);
    const TWO: NodeKey = NodeKey::new([2; 32]);

    fn hello(number: u8) -> Hello {
        let contact = Contact {
            id: RingId::new([number; 20]),
            incarnation: u64::from(number),
            addr: ([127, 0, 0, number], 1).into(),
        };
        Hello::new(contact, RingId::new([9; 20]), 1)
    }

    /// A handshake between the two; what each side makes of it.
    fn shake(
        ring_of_two: &RingKey,
        reply: &Reply,
    ) -> (Result<Agreed, HandshakeError>, Result<Agreed, HandshakeError>) {
        let (mut near, mut far) = UnixStream::pair().expect("a pair");
        thread::scope(|scope| {
            let listening = scope.spawn(move || {
                let keys = Keys {
                    ring: ring_of_two,
                    node: &TWO,
                };
                let mut agreed = listen(&mut far, keys)?;
                answer(&mut far, &mut agreed, reply)?;
                Ok(agreed)
            });
            let keys = Keys {
                ring: &RING,
                node: &ONE,
            };
            let opened = open(&mut near, keys, || Some(hello(1)));
            (opened, listening.join().expect("no panic"))
        })
    }

    /// What the listening side makes of these bytes, after which nothing comes.
    fn heard(bytes: &[u8]) -> HandshakeError {
        let (mut near, mut far) = UnixStream::pair().expect("a pair");
        near.write_all(bytes).expect("a short write");
        near.shutdown(std::net::Shutdown::Write).expect("a socket");
        let keys = Keys {
            ring: &RING,
            node: &TWO,
        };
        listen(&mut far, keys).expect_err("no handshake")
    }

    #[test]
    fn both_learn_who_the_other_is_and_can_talk() {
        let (one, two) = shake(&RING, &Ok(hello(2)));
        let (mut one, mut two) = (one.expect("a link"), two.expect("a link"));
        assert_eq!((one.key, one.hello), (TWO.public(), hello(2)));
        assert_eq!((two.key, two.hello), (ONE.public(), hello(1)));
        for (from, to) in [
            (&mut one.sealer, &mut two.opener),
            (&mut two.sealer, &mut one.opener),
        ] {
            let (mut sealed, mut plain) = (Vec::new(), [0; 64]);
            from.seal(b"frame", &mut sealed).expect("a message");
            let sealed = &sealed[PREFIX_LENGTH..];
            assert_eq!(to.open(sealed, &mut plain[..sealed.len()]), Ok(5));
            assert_eq!(&plain[..5], b"frame");
        }
    }

    #[test]
    fn a_reason_to_refuse_reaches_the_other_side() {
        let (one, two) = shake(&RING, &Err(Refusal::OtherKey));
        assert!(matches!(one, Err(HandshakeError::Refused(Refusal::OtherKey))));
        assert!(two.is_ok());
    }

    #[test]
    fn another_ring_key_is_refused_and_the_opener_hears_nothing() {
        let (one, two) = shake(&RingKey::generate().expect("a key"), &Ok(hello(2)));
        assert!(matches!(two, Err(HandshakeError::WrongKey)), "{two:?}");
        assert!(matches!(one, Err(HandshakeError::NoAnswer)), "{one:?}");
    }

    #[test]
    fn what_is_no_handshake_is_refused_as_early_as_can_be() {
        assert!(matches!(
            heard(b"GET / HTTP/1.1\r\n\r\n"),
            HandshakeError::NoNode(bytes) if bytes == *b"GET / HT"
        ));
        assert!(matches!(
            heard(b"dtring\x00\x02"),
            HandshakeError::OtherHandshake { theirs: 2 }
        ));
        assert!(matches!(heard(b"dtri"), HandshakeError::Io(_)));
        for length in [0, FIRST_LENGTH - 1, FIRST_LENGTH + 1, 65_535] {
            let bytes = [&PREAMBLE[..], &(length as u16).to_be_bytes()].concat();
            match heard(&bytes) {
                HandshakeError::Length {
                    message: 1,
                    length: said,
                } => assert_eq!(said, length),
                error => panic!("{error:?}"),
            }
        }
        let zeros = [
            &PREAMBLE[..],
            &(FIRST_LENGTH as u16).to_be_bytes(),
            &[0; FIRST_LENGTH],
        ]
        .concat();
        assert!(matches!(heard(&zeros), HandshakeError::Garbage { message: 1 }));
    }

    #[test]
    fn a_recorded_handshake_cannot_be_played_again() {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let keys = |node| Keys { ring: &RING, node };
        let mut recorder = Recorder {
            stream: near,
            written: Vec::new(),
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut agreed = listen(&mut far, keys(&TWO)).expect("a hello");
                answer(&mut far, &mut agreed, &Ok(hello(2))).expect("an answer");
            });
            open(&mut recorder, keys(&ONE), || Some(hello(1))).expect("a link");
        });
        // All that the opening side said is right, but for the fresh key of the side that listens.
        let error = heard(&recorder.written);
        assert!(matches!(error, HandshakeError::WrongKey), "{error:?}");
    }

    struct Recorder {
        stream: UnixStream,
        written: Vec<u8>,
    }

    impl Read for Recorder {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.stream.read(bytes)
        }
    }

    impl Write for Recorder {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.stream.write(bytes)?;
            self.written.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.stream.flush()
        }
    }
}
