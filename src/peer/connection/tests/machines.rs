//! The machines between the threads and the socket, without either.

use proptest::prelude::*;

use super::*;
use crate::wire::message::FrameLimits;

const PIECES: u32 = 300;

/// Reads `bytes` in chunks of these lengths, over and over.
fn assemble(bytes: &[u8], chunks: &[usize]) -> (Vec<PeerInput>, bool) {
    let mut assembler = Assembler::new(FrameLimits::for_pieces(PIECES), BlockPool::new(4));
    let mut inputs = Vec::new();
    let mut rest = bytes;
    let mut chunks = chunks.iter().cycle();
    while !rest.is_empty() {
        let mut left = (*chunks.next().unwrap()).min(rest.len());
        let mut count = 0;
        for space in assembler.spaces().iter_mut() {
            let taken = left.min(space.len());
            space[..taken].copy_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            left -= taken;
            count += taken;
        }
        assembler.filled(count, &mut inputs).unwrap();
    }
    (inputs, assembler.is_within_message())
}

/// Inputs with the data of blocks, so that they can be compared.
fn shown(inputs: &[PeerInput]) -> Vec<String> {
    let show = |input: &PeerInput| match input {
        PeerInput::Block { piece, begin, data } => format!("{piece} {begin} {:?}", &data[..]),
        PeerInput::Message(message) => format!("{message:?}"),
    };
    inputs.iter().map(show).collect()
}

/// Every kind of frame, with lengths around the sizes that matter.
fn conversation() -> Vec<u8> {
    let mut bytes = bytes_of(&[
        Message::Bitfield(vec![0xa5; 38].into()),
        Message::KeepAlive,
        Message::Unchoke,
    ]);
    bytes.extend(piece_message(block(1, 5, 60)));
    bytes.extend(piece_message(block(2, 0, 1)));
    bytes.extend(bytes_of(&[Message::Have(3), Message::Choke]));
    bytes.extend(piece_message(block(3, 9, 0)));
    bytes.extend(b"\0\0\0\x20\x63unknown, thirty-one bytes long.");
    let request = Message::Request(block(1, 2, 3));
    let extended = [0, 1, 11, 12, 40].map(|length| Message::Extended(3, vec![7; length].into()));
    bytes.extend(bytes_of(&[request, Message::KeepAlive]));
    bytes.extend(bytes_of(&extended));
    bytes
}

#[test]
fn messages_may_be_cut_anywhere() {
    let bytes = conversation();
    let (inputs, within) = assemble(&bytes, &[1]);
    let expected = shown(&inputs);
    assert_eq!(expected.len(), 16);
    assert!(!within);
    for cut in 1..bytes.len() {
        let (inputs, within) = assemble(&bytes, &[cut, bytes.len()]);
        assert_eq!(shown(&inputs), expected, "cut at {cut}");
        assert!(!within);
        assert!(assemble(&bytes[..cut], &[cut]).0.len() <= expected.len());
    }
}

proptest! {
    #[test]
    fn messages_may_come_in_any_chunks(chunks in prop::collection::vec(1usize..200, 1..8)) {
        let bytes = conversation();
        prop_assert_eq!(shown(&assemble(&bytes, &chunks).0), shown(&assemble(&bytes, &[bytes.len()]).0));
    }
}

#[test]
fn a_run_of_blocks_is_read_straight_into_its_buffers() {
    let mut assembler = Assembler::new(FrameLimits::for_pieces(PIECES), BlockPool::new(4));
    let header = piece_header(block(0, 0, BLOCK_LENGTH));
    let mut inputs = Vec::new();
    assembler.spaces()[0][..header.len()].copy_from_slice(&header);
    assembler.filled(header.len(), &mut inputs).unwrap();
    for _ in 0..3 {
        let [payload, next] = &mut assembler.spaces();
        assert_eq!((payload.len(), next.len()), (BLOCK_LENGTH as usize, header.len()));
        next.copy_from_slice(&header);
        assembler
            .filled(BLOCK_LENGTH as usize + header.len(), &mut inputs)
            .unwrap();
    }
    assert_eq!(inputs.len(), 3);
}

#[test]
fn the_bitfield_of_a_large_torrent() {
    let pieces = 4_000_000;
    let bits = Message::Bitfield(vec![0xff; pieces as usize / 8].into());
    let bytes = bytes_of(std::slice::from_ref(&bits));
    let mut assembler = Assembler::new(FrameLimits::for_pieces(pieces), BlockPool::new(4));
    let mut inputs = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let count = rest.read_vectored(&mut assembler.spaces()).unwrap();
        assembler.filled(count, &mut inputs).unwrap();
    }
    assert!(matches!(&inputs[..], [PeerInput::Message(message)] if *message == bits));
}

/// An outbox over [`GEOMETRY`] with these uploads queued.
fn outbox(fast: bool, uploads: &[Block]) -> (Outbox, Arc<PeerCounters>) {
    let counters = Arc::new(PeerCounters::default());
    let geometry = Geometry::new(GEOMETRY.0, GEOMETRY.1).unwrap();
    let completed = Arc::new(CompletedLog::new(4));
    let mut outbox = Outbox::new(fast, geometry, completed, 0, Arc::clone(&counters));
    for block in uploads {
        counters.uploads_queued.fetch_add(1, Ordering::Relaxed);
        outbox.apply(PeerCommand::Upload(*block));
    }
    (outbox, counters)
}

fn taken(outbox: &mut Outbox, most_blocks: usize) -> (Vec<u8>, Vec<Block>) {
    let (mut control, mut uploads) = (b"old".to_vec(), vec![block(9, 9, 9)]);
    let most_bytes = 2 * BLOCK_LENGTH as usize;
    let (count, bytes) = outbox.next_uploads(most_blocks, most_bytes);
    outbox.take_messages(&mut control);
    outbox.take_uploads(most_blocks, most_bytes, &mut uploads);
    let on_the_wire: usize = uploads.iter().map(|block| piece_message(*block).len()).sum();
    assert_eq!((count, bytes), (uploads.len(), on_the_wire));
    (control, uploads)
}

#[test]
fn a_choke_drops_what_is_queued() {
    let queue = [block(0, 0, 10), block(0, 10, 10)];
    for (fast, rejects) in [(true, &queue[..]), (false, &[])] {
        let (mut outbox, counters) = outbox(fast, &queue);
        outbox.apply(PeerCommand::Choke { granted: Vec::new() });
        let mut expected = vec![Message::Choke];
        expected.extend(rejects.iter().copied().map(Message::RejectRequest));
        assert_eq!(taken(&mut outbox, 9), (bytes_of(&expected), vec![]));
        assert_eq!(counters.uploads_queued.load(Ordering::Relaxed), 0);
        assert!(outbox.is_empty());
    }
}

#[test]
fn a_choke_leaves_what_was_granted_whether_we_choke_or_not() {
    let (granted, other) = (block(1, 0, 10), block(0, 0, 10));
    let (mut outbox, counters) = outbox(true, &[granted, other]);
    outbox.apply(PeerCommand::Choke {
        granted: vec![PieceIndex(1)],
    });
    let expected = bytes_of(&[Message::Choke, Message::RejectRequest(other)]);
    assert_eq!(taken(&mut outbox, 9), (expected, vec![granted]));
    assert_eq!(counters.uploads_queued.load(Ordering::Relaxed), 1);
}

#[test]
fn a_cancel_takes_back_what_is_queued_and_only_that() {
    let (first, second) = (block(0, 0, 10), block(0, 10, 10));
    for fast in [true, false] {
        let (mut outbox, counters) = outbox(fast, &[first, second]);
        outbox.apply(PeerCommand::CancelUpload(first));
        outbox.apply(PeerCommand::CancelUpload(first));
        let rejects = if fast {
            bytes_of(&[Message::RejectRequest(first)])
        } else {
            vec![]
        };
        assert_eq!(taken(&mut outbox, 9), (rejects, vec![second]));
        assert_eq!(
            counters.uploads_queued.load(Ordering::Relaxed),
            1,
            "one is being sent"
        );
    }
}

#[test]
fn uploads_are_taken_in_bounded_lots_but_always_one() {
    let large = block(0, 0, 8 * BLOCK_LENGTH);
    let full = block(1, 0, BLOCK_LENGTH);
    let (mut outbox, _) = outbox(true, &[large, full, full, full, full]);
    let mut take = |most| taken(&mut outbox, most).1.len();
    assert_eq!([take(9), take(9), take(1), take(9), take(9)], [1, 2, 1, 1, 0]);
}

#[test]
fn one_byte_a_second_does_not_live_for_ever() {
    let mut patience = Patience::new(Deadlines::default());
    let second = Duration::from_secs(1);
    // A message that fills the time between two others is no problem, for however long.
    assert!((0..1000).all(|_| patience.spend(second, false, true).is_ok()));
    assert!((0..59).all(|_| patience.spend(second, true, true).is_ok()));
    assert!(matches!(
        patience.spend(second, true, true),
        Err(CloseReason::Protocol(_))
    ));
}

#[test]
fn silence_between_messages_may_last_three_minutes() {
    let mut patience = Patience::new(Deadlines::default());
    let minute = Duration::from_secs(60);
    assert!((0..2).all(|_| patience.spend(minute, false, false).is_ok()));
    assert!(
        patience.spend(minute, false, true).is_ok(),
        "a byte starts it again"
    );
    assert!((0..2).all(|_| patience.spend(minute, false, false).is_ok()));
    assert!(matches!(
        patience.spend(minute, false, false),
        Err(CloseReason::Protocol(_))
    ));
}
