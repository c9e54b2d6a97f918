//! Several SHA-1 at the same time on one core. Values: layer 1.
//!
//! Each step of SHA-1 needs the result of the one before, so a core that hashes one message waits most of the time, the
//! more so with the processor's own SHA instructions. Steps of another message fit into that wait: while the blocks of
//! several messages are compressed in turn, the core overlaps them by itself. `docs/performance.md` has the figures.

use std::slice;

use sha1::block_api::compress;

/// So many messages keep a core busy. With more nothing is gained, and they need more of its cache.
pub const ABREAST: usize = 4;

/// Bytes that are compressed at a time (FIPS 180-4 §5.2.1).
const CHUNK: usize = 64;

/// Where the length of the message stands in its last chunk (FIPS 180-4 §5.1.1).
const LENGTH_AT: usize = CHUNK - 8;

/// The state of an empty message (FIPS 180-4 §5.3.1).
const INITIAL: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];

/// The SHA-1 of a message of which more may come, alone or side by side with others.
#[derive(Debug, Clone)]
pub struct Hasher {
    state: [u32; 5],
    /// Bytes so far.
    length: u64,
    /// What has come of the chunk that is not whole: the first `length % 64` bytes.
    begun: [u8; CHUNK],
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher {
    /// The hash of nothing.
    pub const fn new() -> Self {
        Self {
            state: INITIAL,
            length: 0,
            begun: [0; CHUNK],
        }
    }

    /// Goes on with the next bytes of the message.
    pub fn update(&mut self, data: &[u8]) {
        let data = self.fill_begun(data);
        let (whole, rest) = data.as_chunks::<CHUNK>();
        compress(&mut self.state, whole);
        self.begin(rest);
        self.length += data.len() as u64;
    }

    /// The hash of all that has come.
    pub fn finish(mut self) -> [u8; 20] {
        let begun = self.begun_length();
        let mut last = [0; CHUNK];
        last[..begun].copy_from_slice(&self.begun[..begun]);
        last[begun] = 0x80;
        if begun >= LENGTH_AT {
            compress(&mut self.state, &[last]);
            last = [0; CHUNK];
        }
        // Modulo 2^64 as in the standard; a message cannot be that long.
        last[LENGTH_AT..].copy_from_slice(&self.length.wrapping_mul(8).to_be_bytes());
        compress(&mut self.state, &[last]);
        let mut digest = [0; 20];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }

    const fn begun_length(&self) -> usize {
        (self.length % CHUNK as u64) as usize
    }

    /// Puts data to the chunk that is begun, if there is one, until that is whole; returns the rest.
    fn fill_begun<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let begun = self.begun_length();
        if begun == 0 {
            return data;
        }
        let (now, rest) = data.split_at(data.len().min(CHUNK - begun));
        self.begun[begun..begun + now.len()].copy_from_slice(now);
        self.length += now.len() as u64;
        if self.begun_length() == 0 {
            compress(&mut self.state, &[self.begun]);
        }
        rest
    }

    /// Keeps what is less than a chunk.
    fn begin(&mut self, rest: &[u8]) {
        let begun = self.begun_length();
        self.begun[begun..begun + rest.len()].copy_from_slice(rest);
    }
}

/// Goes on with several messages, each with its own next bytes. As far as they are equally long, and whole chunks, they
/// are hashed side by side.
pub fn update_all(messages: &mut [(&mut Hasher, &[u8])]) {
    for (hasher, data) in messages.iter_mut() {
        *data = hasher.fill_begun(data);
    }
    let chunks = |data: &[u8]| data.len() / CHUNK;
    let common = messages.iter().map(|(_, data)| chunks(data)).min().unwrap_or(0);
    for chunk in 0..common {
        for (hasher, data) in messages.iter_mut() {
            let whole = data.as_chunks::<CHUNK>().0;
            compress(&mut hasher.state, slice::from_ref(&whole[chunk]));
        }
    }
    for (hasher, data) in messages {
        let bytes = common * CHUNK;
        hasher.length += bytes as u64;
        hasher.update(&data[bytes..]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sha1::{Digest, Sha1};

    use super::*;

    fn expected(message: &[u8]) -> [u8; 20] {
        Sha1::digest(message).into()
    }

    #[test]
    fn every_length_around_a_chunk_is_padded_right() {
        let bytes: Vec<u8> = (0..200).collect();
        for length in 0..=bytes.len() {
            let mut hasher = Hasher::new();
            hasher.update(&bytes[..length]);
            assert_eq!(hasher.finish(), expected(&bytes[..length]), "{length}");
        }
    }

    proptest! {
        /// Messages of any lengths, cut into any parts.
        #[test]
        fn side_by_side_they_are_what_they_are_alone(
            parts in vec(vec((0usize..300, any::<u8>()), 1..6), 0..6),
        ) {
            let parts: Vec<Vec<Vec<u8>>> = parts
                .into_iter()
                .map(|message| message.into_iter().map(|(length, byte)| vec![byte; length]).collect())
                .collect();
            let mut hashers = vec![Hasher::new(); parts.len()];
            for turn in 0..6 {
                let mut messages: Vec<(&mut Hasher, &[u8])> = hashers
                    .iter_mut()
                    .zip(&parts)
                    .map(|(hasher, parts)| (hasher, parts.get(turn).map_or(&[][..], Vec::as_slice)))
                    .collect();
                update_all(&mut messages);
            }
            for (hasher, parts) in hashers.into_iter().zip(parts) {
                prop_assert_eq!(hasher.finish(), expected(&parts.concat()));
            }
        }
    }
}
