//! Stories of one torrent among scripted peers and a scripted disk, with the clock in the test's hand.

mod blocks;
mod choices;
mod disk;
mod joining;
mod random;
mod shown;
mod upload;
mod world;
