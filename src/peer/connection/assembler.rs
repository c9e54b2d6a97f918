//! From the bytes of a stream to messages and blocks, cut anywhere. A machine: layer 2, BEP 3 §peer messages.

use std::io::IoSliceMut;
use std::sync::Arc;

use crate::memory::{BlockBuf, BlockPool};
use crate::peer::link::PeerInput;
use crate::wire::message::{
    FrameHeader, FrameLimits, Message, MessageError, PIECE_HEADER_LENGTH, PREFIX_LENGTH, parse_header,
};

/// Bytes that are read at once while no block is under way: some sixty requests, or a hundred haves.
const SCRATCH_LENGTH: usize = 1024;

/// Longest message that is read out of the scratch itself: length, number and three numbers.
const SHORT_MESSAGE: usize = PREFIX_LENGTH + 1 + 12;

/// Puts a connection's messages together.
///
/// The caller reads into [`Self::spaces`] and says with [`Self::filled`] how much came. The payload of a block
/// is read straight into its buffer, and behind it the header of the next block, so a run of blocks costs one
/// read each and no copy.
///
/// Invariants: while a block or a long message is under way the scratch is empty; between two calls the
/// scratch holds no whole short message; a block has a buffer only from its header on.
#[derive(Debug)]
pub(super) struct Assembler {
    limits: FrameLimits,
    pool: Arc<BlockPool>,
    scratch: Box<[u8; SCRATCH_LENGTH]>,
    /// Bytes of the scratch that were read and belong to no message yet.
    held: usize,
    body: Option<Body>,
}

/// A message whose payload does not pass through the scratch.
#[derive(Debug)]
struct Body {
    kind: BodyKind,
    filled: usize,
}

#[derive(Debug)]
enum BodyKind {
    Block { piece: u32, begin: u32, data: BlockBuf },
    Long { id: u8, payload: Vec<u8> },
}

impl BodyKind {
    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Block { data, .. } => data,
            Self::Long { payload, .. } => payload,
        }
    }
}

impl Assembler {
    pub(super) fn new(limits: FrameLimits, pool: Arc<BlockPool>) -> Self {
        Self {
            limits,
            pool,
            scratch: Box::new([0; SCRATCH_LENGTH]),
            held: 0,
            body: None,
        }
    }

    /// Whether a message was begun and is not whole.
    pub(super) const fn is_within_message(&self) -> bool {
        self.held > 0 || self.body.is_some()
    }

    /// Where the next bytes go, in order. Never empty.
    pub(super) fn spaces(&mut self) -> [IoSliceMut<'_>; 2] {
        match &mut self.body {
            // Only the header of the next block is read along: bytes of its payload would have to be copied.
            Some(body) => [
                IoSliceMut::new(&mut body.kind.bytes()[body.filled..]),
                IoSliceMut::new(&mut self.scratch[..PIECE_HEADER_LENGTH]),
            ],
            None => [
                IoSliceMut::new(&mut self.scratch[self.held..]),
                IoSliceMut::new(&mut []),
            ],
        }
    }

    /// Takes note that `count` bytes were read into [`Self::spaces`], and appends what they complete.
    ///
    /// # Errors
    /// If a message cannot have the length that it announces. The machine is of no use after that.
    pub(super) fn filled(&mut self, count: usize, inputs: &mut Vec<PeerInput>) -> Result<(), MessageError> {
        let mut count = count;
        if let Some(body) = &mut self.body {
            let taken = count.min(body.kind.bytes().len() - body.filled);
            body.filled += taken;
            count -= taken;
        }
        self.held += count;
        let mut start = 0;
        while let Some(used) = self.step(start, inputs)? {
            start += used;
        }
        self.scratch.copy_within(start..self.held, 0);
        self.held -= start;
        Ok(())
    }

    /// Completes one message or begins one body with the scratch from `start` on, and says how many bytes of
    /// it that took; `None` if more bytes are needed first.
    fn step(&mut self, start: usize, inputs: &mut Vec<PeerInput>) -> Result<Option<usize>, MessageError> {
        if let Some(body) = &mut self.body {
            if body.filled < body.kind.bytes().len() {
                return Ok(None);
            }
            inputs.extend(self.body.take().map(|body| whole(body.kind)).transpose()?);
        }
        let bytes = &self.scratch[start..self.held];
        let (header_length, kind) = match parse_header(bytes, self.limits)? {
            None => return Ok(None),
            Some(FrameHeader::KeepAlive) => {
                inputs.push(PeerInput::Message(Message::KeepAlive));
                return Ok(Some(PREFIX_LENGTH));
            }
            Some(FrameHeader::Piece { piece, begin, length }) => {
                let data = self.pool.buffer(length);
                (PIECE_HEADER_LENGTH, BodyKind::Block { piece, begin, data })
            }
            Some(FrameHeader::Message { id, length }) => {
                let header_length = PREFIX_LENGTH + 1;
                let length = length as usize;
                if header_length + length <= SHORT_MESSAGE {
                    let Some(payload) = bytes.get(header_length..header_length + length) else {
                        return Ok(None);
                    };
                    inputs.push(PeerInput::Message(Message::decode(id, payload)?));
                    return Ok(Some(header_length + length));
                }
                let payload = vec![0; length];
                (header_length, BodyKind::Long { id, payload })
            }
        };
        let body = self.body.insert(Body { kind, filled: 0 });
        // What was read of the body before its header was known has to move; this happens at the start of a
        // burst, not within it.
        let (space, rest) = (body.kind.bytes(), &bytes[header_length..]);
        let taken = space.len().min(rest.len());
        space[..taken].copy_from_slice(&rest[..taken]);
        body.filled = taken;
        Ok(Some(header_length + taken))
    }
}

fn whole(body: BodyKind) -> Result<PeerInput, MessageError> {
    Ok(match body {
        BodyKind::Block { piece, begin, data } => PeerInput::Block { piece, begin, data },
        BodyKind::Long { id, payload } => PeerInput::Message(Message::decode(id, &payload)?),
    })
}
