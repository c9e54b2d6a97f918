//! Where the bytes of a torrent live: the layout of files over pieces, the cache of open files, the disk
//! threads, and the record that lets a download go on after a stop. Layer 3 but for `layout`.

pub(crate) mod below;
mod claim;
pub mod disk;
mod error;
#[cfg(test)]
pub(crate) mod faults;
pub mod files;
#[cfg(test)]
pub(crate) mod fixture;
pub mod journal;
mod lane;
pub mod layout;
pub mod move_note;
mod pace;
mod prepare;
mod relocate;
pub mod resume;
pub mod state_dir;
pub mod statistics;
mod store;
pub mod task;
mod trash_can;
mod vouch;
mod whole;
mod worker;

pub use error::StorageError;
pub use prepare::free_space;
pub use store::{Storage, Whose};
pub use vouch::Vouched;
