//! The alphabet of ring frames: numbers most significant byte first, addresses, lists with their length before
//! them. Layer 1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::id::{InfoHash, RingId};

/// Why bytes of another node are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("a ring message ends in the middle of a field")]
    Truncated,
    /// Bytes are left behind the last field.
    #[error("a ring message has {0} bytes too many")]
    TrailingBytes(usize),
    /// A field has a value that means nothing.
    #[error("a ring message has {value} where its {field} should be")]
    BadValue {
        /// The field.
        field: &'static str,
        /// What stood there.
        value: u64,
    },
}

/// Appends fields to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// A writer behind what `out` holds already.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// The bytes as they are; their number must follow from what stands before them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Twenty bytes.
    pub fn ring_id(&mut self, id: RingId) {
        self.bytes(id.as_bytes());
    }

    /// Twenty bytes.
    pub fn info_hash(&mut self, hash: &InfoHash) {
        self.bytes(hash.as_bytes());
    }

    /// `4` or `6`, the address (4 or 16 bytes), the port (2 bytes). Scope and flow of an IPv6 address mean nothing
    /// to another host and are left out.
    pub fn addr(&mut self, addr: SocketAddr) {
        match addr.ip().to_canonical() {
            IpAddr::V4(ip) => {
                self.u8(4);
                self.bytes(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.u8(6);
                self.bytes(&ip.octets());
            }
        }
        self.u16(addr.port());
    }
}

/// Takes fields from the front of some bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], as in all methods here.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// One byte.
    ///
    /// # Errors
    /// When there is none.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Twenty bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn ring_id(&mut self) -> Result<RingId, DecodeError> {
        self.array().map(RingId::new)
    }

    /// Twenty bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn info_hash(&mut self) -> Result<InfoHash, DecodeError> {
        self.array().map(InfoHash::new)
    }

    /// An address as [`Writer::addr`] writes it.
    ///
    /// # Errors
    /// When the bytes end early or the family is neither 4 nor 6.
    pub fn addr(&mut self) -> Result<SocketAddr, DecodeError> {
        let ip = match self.u8()? {
            4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)),
            6 => IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)),
            family => {
                return Err(DecodeError::BadValue {
                    field: "address family",
                    value: family.into(),
                });
            }
        };
        Ok(SocketAddr::new(ip.to_canonical(), self.u16()?))
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] when something is left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_round_trip() {
        for text in ["192.0.2.7:6969", "[2001:db8::1]:1"] {
            let addr: SocketAddr = text.parse().expect("an address");
            let mut bytes = Vec::new();
            Writer::new(&mut bytes).addr(addr);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.addr(), Ok(addr));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn short_and_odd_bytes_are_refused() {
        assert_eq!(Reader::new(&[1]).u16(), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[4, 1, 2, 3]).addr(), Err(DecodeError::Truncated));
        assert_eq!(
            Reader::new(&[5]).addr(),
            Err(DecodeError::BadValue {
                field: "address family",
                value: 5
            })
        );
        assert_eq!(Reader::new(&[0; 3]).finish(), Err(DecodeError::TrailingBytes(3)));
    }
}
