//! One torrent at work: the machine that decides, and the Downloader thread that acts.
