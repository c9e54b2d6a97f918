//! Where the bytes of a torrent live: the layout of files over pieces, the cache of open files, the disk
//! threads, and the record that lets a download go on after a stop. Layer 3 but for `layout`.

pub(crate) mod below;
pub mod disk;
mod error;
#[cfg(test)]
pub(crate) mod faults;
pub mod files;
#[cfg(test)]
pub(crate) mod fixture;
pub mod journal;
pub mod layout;
pub mod move_note;
mod prepare;
mod relocate;
pub mod resume;
pub mod state_dir;
mod store;
pub mod task;
mod vouch;

pub use error::StorageError;
pub use prepare::free_space;
pub use store::Storage;
pub use vouch::Vouched;
