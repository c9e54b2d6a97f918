//! Frames: what a link between two nodes carries, one behind the other. Layer 1.
//!
//! ```text
//! kind    1 byte    which message; its upper part says which module it belongs to, see `kind`
//! length  4 bytes   of the body, most significant byte first, at most MAX_BODY
//! body    length bytes
//! ```
//!
//! Frames know nothing of what encrypts them: a link cuts the stream of frames wherever a Noise message ends. A
//! node skips a frame whose kind it does not know, so that old and new versions live in one ring while it is
//! upgraded node by node.

use std::fmt;

use super::codec::Writer;

/// Bytes before the body of a frame.
pub const HEADER_LENGTH: usize = 5;

/// Longest body: what a link must be ready to keep until a frame is whole. Whoever has more to send cuts it.
pub const MAX_BODY: usize = 256 * 1024;

/// Whose the kinds are.
pub mod kind {
    /// The link itself: `0x00..0x10`. This one says nothing.
    pub const LINK: u8 = 0x00;
    /// The last frame of a link that is closed in good order.
    pub const GOODBYE: u8 = 0x01;
    /// The Chord machine: `0x10..0x40`.
    pub const CHORD: u8 = 0x10;
    /// Swarms, their copies and their movement: `0x40..0x80`.
    pub const DATA: u8 = 0x40;
    /// What a node says about itself, for people: `0x80..0x90`. What is above is free.
    pub const BULLETIN: u8 = 0x80;
    /// The first kind that belongs to nobody.
    pub const FREE: u8 = 0x90;
}

/// Why bytes are no frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A header announces, or a sender wrote, more than [`MAX_BODY`] bytes.
    #[error("a ring frame of kind {kind:#04x} has {length} bytes; at most {MAX_BODY} are allowed")]
    TooLong {
        /// The kind of the frame.
        kind: u8,
        /// Bytes of its body.
        length: usize,
    },
}

/// A frame, lent from the buffer of its link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Which message it is.
    pub kind: u8,
    /// What the kind makes of it.
    pub body: &'a [u8],
}

impl fmt::Debug for Frame<'_> {
    /// The length only: bodies hold the addresses of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:#04x}, {} bytes)", self.kind, self.body.len())
    }
}

/// Appends a frame whose body `write` makes.
///
/// # Errors
/// [`FrameError::TooLong`]; then `out` is as it was before.
pub fn put(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Writer<'_>)) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[kind, 0, 0, 0, 0]);
    write(&mut Writer::new(out));
    let length = out.len() - start - HEADER_LENGTH;
    match u32::try_from(length) {
        Ok(prefix) if length <= MAX_BODY => {
            out[start + 1..start + HEADER_LENGTH].copy_from_slice(&prefix.to_be_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(FrameError::TooLong { kind, length })
        }
    }
}

/// What stands at the front of some bytes, as [`split`] finds it.
#[derive(Debug, Clone)]
pub struct Split<'a> {
    /// The whole frames.
    pub frames: Frames<'a>,
    /// The body of the [`kind::GOODBYE`] behind them. Nothing comes after it.
    pub goodbye: Option<&'a [u8]>,
    /// Bytes of all this; the rest is the beginning of a frame.
    pub used: usize,
}

/// Takes as many whole frames as there are.
///
/// ```
/// use dtorrent::ring::frame::{Frame, kind, put, split};
///
/// let mut bytes = Vec::new();
/// put(&mut bytes, kind::CHORD, |body| body.u16(7)).unwrap();
/// put(&mut bytes, kind::DATA, |_| {}).unwrap();
/// let mut split = split(&bytes[..8]).unwrap();
/// assert_eq!(split.used, 7); // The second frame is not whole yet.
/// assert_eq!(split.frames.next(), Some(Frame { kind: kind::CHORD, body: &[0, 7] }));
/// assert_eq!(split.frames.next(), None);
/// ```
///
/// # Errors
/// [`FrameError::TooLong`] as soon as a header announces it: nobody should wait for the body.
pub fn split(bytes: &[u8]) -> Result<Split<'_>, FrameError> {
    let (mut end, mut left) = (0, 0);
    let mut goodbye = None;
    let mut used = 0;
    while let Some(header) = bytes[used..].first_chunk() {
        let (kind, length) = parse_header(header)?;
        let Some(body) = bytes[used + HEADER_LENGTH..].get(..length) else {
            break;
        };
        used += HEADER_LENGTH + length;
        if kind == kind::GOODBYE {
            goodbye = Some(body);
            break;
        }
        end = used;
        left += 1;
    }
    let frames = Frames {
        rest: &bytes[..end],
        left,
    };
    Ok(Split {
        frames,
        goodbye,
        used,
    })
}

/// Whole frames, in their order.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    /// Whole frames and nothing else.
    rest: &'a [u8],
    /// How many there are.
    left: usize,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (header, rest) = self.rest.split_first_chunk()?;
        let (kind, length) = parse_header(header).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        self.left -= 1;
        Some(Frame { kind, body })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Frames<'_> {}

fn parse_header(header: &[u8; HEADER_LENGTH]) -> Result<(u8, usize), FrameError> {
    let [kind, length @ ..] = *header;
    let length = u32::from_be_bytes(length) as usize;
    match length <= MAX_BODY {
        true => Ok((kind, length)),
        false => Err(FrameError::TooLong { kind, length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(list: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, body) in list {
            put(&mut bytes, *kind, |out| out.bytes(body)).expect("a short body");
        }
        bytes
    }

    /// Kind and length of each frame, what the goodbye says, and bytes used.
    type Found<'a> = (Vec<(u8, usize)>, Option<&'a [u8]>, usize);

    fn found(bytes: &[u8]) -> Result<Found<'_>, FrameError> {
        let split = split(bytes)?;
        let frames = split.frames.map(|frame| (frame.kind, frame.body.len())).collect();
        Ok((frames, split.goodbye, split.used))
    }

    #[test]
    fn whole_frames_are_taken_and_the_rest_is_left() {
        let table: &[(&str, &[u8], Found<'_>)] = &[
            ("nothing", b"", (vec![], None, 0)),
            ("half a header", &[0x10, 0, 0, 0], (vec![], None, 0)),
            ("an empty body", &[0x10, 0, 0, 0, 0], (vec![(0x10, 0)], None, 5)),
            ("a body that is missing", &[0x10, 0, 0, 0, 1], (vec![], None, 0)),
            (
                "a kind that nobody knows",
                &[0xee, 0, 0, 0, 1, 9, 0x40, 0, 0, 0, 0],
                (vec![(0xee, 1), (0x40, 0)], None, 11),
            ),
            (
                "a frame and half of another",
                &[0x10, 0, 0, 0, 1, 9, 0x40, 0, 0],
                (vec![(0x10, 1)], None, 6),
            ),
            (
                "what stands behind a goodbye",
                &[0x10, 0, 0, 0, 0, 0x01, 0, 0, 0, 1, 2, 0x10, 0, 0, 0, 0],
                (vec![(0x10, 0)], Some(&[2]), 11),
            ),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(found(bytes).as_ref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_body_that_is_too_long_is_refused_before_it_comes() {
        for length in [MAX_BODY + 1, 1 << 24, u32::MAX as usize] {
            let mut bytes = frames(&[(0x10, b"fine")]);
            bytes.push(0x40);
            bytes.extend_from_slice(&(length as u32).to_be_bytes());
            assert_eq!(
                found(&bytes),
                Err(FrameError::TooLong { kind: 0x40, length }),
                "{length}"
            );
        }
    }

    #[test]
    fn the_longest_body_passes_and_one_more_byte_leaves_no_trace() {
        let mut bytes = frames(&[(0x10, &vec![7; MAX_BODY])]);
        assert_eq!(found(&bytes), Ok((vec![(0x10, MAX_BODY)], None, bytes.len())));
        let before = bytes.clone();
        let error = put(&mut bytes, 0x41, |out| out.bytes(&vec![7; MAX_BODY + 1]));
        assert_eq!(
            error,
            Err(FrameError::TooLong {
                kind: 0x41,
                length: MAX_BODY + 1
            })
        );
        assert_eq!(bytes, before);
    }

    proptest::proptest! {
        #[test]
        fn frames_round_trip_however_they_are_cut(
            list in proptest::collection::vec((proptest::num::u8::ANY, proptest::collection::vec(0_u8.., 0..40)), 0..12),
            cut in 0_usize..600,
        ) {
            let list: Vec<_> = list.into_iter().filter(|(kind, _)| *kind != kind::GOODBYE).collect();
            let borrowed: Vec<(u8, &[u8])> = list.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
            let bytes = frames(&borrowed);
            let cut = cut.min(bytes.len());
            let first = split(&bytes[..cut]).expect("short bodies");
            let second = split(&bytes[first.used..]).expect("short bodies");
            let all: Vec<(u8, &[u8])> =
                first.frames.chain(second.frames).map(|frame| (frame.kind, frame.body)).collect();
            proptest::prop_assert_eq!(all, borrowed);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0_u8.., 0..64)) {
            if let Ok(split) = split(&bytes) {
                let count = split.frames.len();
                proptest::prop_assert_eq!(split.frames.clone().count(), count);
                let total: usize = split.frames.map(|frame| HEADER_LENGTH + frame.body.len()).sum();
                let goodbye = split.goodbye.map_or(0, |body| HEADER_LENGTH + body.len());
                proptest::prop_assert_eq!(total + goodbye, split.used);
            }
        }
    }
}
