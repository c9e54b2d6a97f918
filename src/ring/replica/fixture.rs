//! Nodes for the tests of custody, keepers and router.

use crate::id::RingId;
use crate::ring::contact::Contact;

/// Nodes at 10, 20, … of 255.
pub(super) fn node(number: u8) -> Contact {
    let mut id = [0; 20];
    id[0] = 10 * number;
    Contact {
        id: RingId::new(id),
        incarnation: 1,
        addr: ([127, 0, 0, 1], u16::from(number)).into(),
    }
}
