//! Where the bytes of a torrent live: the layout of files over pieces, the cache of open files, the disk
//! threads, and the record that lets a download go on after a stop. Layer 3 but for `layout`.

pub mod disk;
