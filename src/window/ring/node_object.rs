//! One node as the table of the ring sees it. Layer 4.

use dtorrent::ring::picture::NodePicture;

use super::super::row_object::row_object;

/// A node, with what only the whole ring tells of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) node: NodePicture,
    pub(crate) state: String,
    pub(crate) copies: String,
    /// What it is to the torrent that was picked.
    pub(crate) part: String,
}

row_object!(RingNodeObject is "DtRingNodeObject", of Row);
