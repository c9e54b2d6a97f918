//! From the parts of a torrent to its bytes.

use crate::bencode::Item;

use super::{Metainfo, MetainfoError};

/// What a torrent is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One file of so many bytes, called like the torrent.
    File(u64),
    /// A folder: path below it and length of each file, in the order in which their bytes were hashed.
    Folder(Vec<(Vec<String>, u64)>),
}

/// The parts of a new torrent (BEP 3, 12, 19, 27).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// Name of the file or folder.
    pub name: String,
    /// The files.
    pub content: Content,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// SHA-1 of each piece.
    pub piece_hashes: Vec<[u8; 20]>,
    /// Trackers by tier.
    pub tiers: Vec<Vec<String>>,
    /// HTTP sources.
    pub web_seeds: Vec<String>,
    /// Free text.
    pub comment: Option<String>,
    /// Only the torrent's own trackers may tell of peers.
    pub private: bool,
    /// Program that made the torrent; ours unless changed.
    pub created_by: Option<String>,
    /// Seconds since 1970; none unless given, so that the same parts make the same bytes.
    pub creation_date: Option<i64>,
}

impl Builder {
    /// A torrent without trackers or other extras.
    pub fn new(name: String, content: Content, piece_length: u32, piece_hashes: Vec<[u8; 20]>) -> Self {
        Self {
            name,
            content,
            piece_length,
            piece_hashes,
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            private: false,
            created_by: Some(concat!("DTorrent ", env!("CARGO_PKG_VERSION")).to_owned()),
            creation_date: None,
        }
    }

    /// The torrent; its bytes are [`Metainfo::raw`]. They are read back by the same code that reads those of
    /// others, so what is made here can be opened here.
    ///
    /// # Errors
    /// See [`MetainfoError`]: the parts do not fit each other, or a limit is passed.
    pub fn build(&self) -> Result<Metainfo, MetainfoError> {
        Metainfo::parse(&self.root().encode())
    }

    fn root(&self) -> Item<'_> {
        let mut entries = vec![("info", self.info())];
        // A lone tracker needs no list; every client reads `announce`.
        if let Some(first) = self.tiers.iter().flatten().next() {
            entries.push(("announce", first.into()));
        }
        if self.tiers.iter().flatten().count() > 1 {
            entries.push((
                "announce-list",
                Item::List(self.tiers.iter().map(Item::list).collect()),
            ));
        }
        match &self.web_seeds[..] {
            [] => {}
            [seed] => entries.push(("url-list", seed.into())),
            seeds => entries.push(("url-list", Item::list(seeds))),
        }
        if let Some(comment) = &self.comment {
            entries.push(("comment", comment.into()));
        }
        if let Some(program) = &self.created_by {
            entries.push(("created by", program.into()));
        }
        if let Some(date) = self.creation_date {
            entries.push(("creation date", date.into()));
        }
        Item::dict(entries)
    }

    /// Only what every maker of torrents writes, so that the same data has the same info-hash everywhere:
    /// `private` appears only when it is set.
    fn info(&self) -> Item<'_> {
        let mut entries = vec![
            ("name", Item::from(&self.name)),
            ("piece length", i64::from(self.piece_length).into()),
            ("pieces", self.piece_hashes.as_flattened().into()),
        ];
        match &self.content {
            Content::File(length) => entries.push(("length", integer(*length))),
            Content::Folder(files) => {
                let file = |(path, length): &'_ (Vec<String>, u64)| -> Item<'_> {
                    let path = Item::List(
                        path.iter()
                            .map(|part| Item::from(part.clone().into_bytes()))
                            .collect(),
                    );
                    Item::dict([("length", integer(*length)), ("path", path)])
                };
                entries.push(("files", Item::List(files.iter().map(file).collect())));
            }
        }
        if self.private {
            entries.push(("private", 1.into()));
        }
        Item::dict(entries)
    }
}

/// A length as bencode writes it. One that no file can have is refused as negative when it is read back.
fn integer(length: u64) -> Item<'static> {
    Item::Int(i64::try_from(length).unwrap_or(-1))
}
