//! Messages to bytes and back, as a writer and a reader do it.

use std::hint::black_box;

use dtorrent::bitfield::Bitfield;
use dtorrent::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use dtorrent::wire::message::{FrameHeader, FrameLimits, Message, parse_header, piece_header};

const PIECES: u32 = 2_000;

fn block_of(turn: u32) -> Block {
    Block {
        piece: PieceIndex(turn % PIECES),
        begin: turn % 16 * BLOCK_LENGTH,
        length: BLOCK_LENGTH,
    }
}

/// What the bytes of one frame say.
fn read(frame: &[u8], limits: FrameLimits) -> Message {
    match parse_header(frame, limits) {
        Ok(Some(FrameHeader::Message { id, length })) => {
            let payload = &frame[frame.len() - length as usize..];
            Message::decode(id, payload).expect("it was encoded here")
        }
        other => panic!("the frame of a message is {other:?}"),
    }
}

fn there_and_back(times: u32, message_of: impl Fn(u32) -> Message) {
    let limits = FrameLimits::for_pieces(PIECES);
    let mut bytes = Vec::new();
    for turn in 0..times {
        bytes.clear();
        black_box(message_of(turn)).encode(&mut bytes);
        black_box(read(black_box(&bytes), limits));
    }
}

pub(crate) fn have(times: u32) {
    there_and_back(times, Message::Have);
}

pub(crate) fn request(times: u32) {
    there_and_back(times, |turn| Message::Request(block_of(turn)));
}

pub(crate) fn bitfield(times: u32) {
    let full = Bitfield::full(PIECES);
    there_and_back(times, |_| Message::Bitfield(full.as_bytes().into()));
}

/// The header of a block; its data passes through no codec.
pub(crate) fn piece_headers(times: u32) {
    let limits = FrameLimits::for_pieces(PIECES);
    for turn in 0..times {
        let header = piece_header(black_box(block_of(turn)));
        let read = parse_header(black_box(&header), limits);
        assert!(matches!(read, Ok(Some(FrameHeader::Piece { .. }))));
        let _ = black_box(read);
    }
}
