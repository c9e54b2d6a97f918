//! The window that shows a ring of trackers. Layer 4.
//!
//! | module | what |
//! |---|---|
//! | `ring_window` | the window: which ring is wanted, and which torrent; `showing`: what is shown of each look |
//! | `circle` | the drawn circle, with the keyboard and the mouse; `paint` and `labels` draw it |
//! | `table` | the same as a table |
//! | `beside` | circle and facts side by side, or one above the other |
//! | `watch` | the thread that asks a node, once a second; `asking`: which node |
//! | `seen` | what was told, with an index of it |
//! | `shape`, `facts`, `story` | numbers, words and events: pure |

mod asking;
mod beside;
mod circle;
mod facts;
mod labels;
mod node_object;
mod paint;
mod ring_window;
#[cfg(test)]
mod sample;
mod seen;
mod shape;
mod showing;
mod story;
mod table;
mod watch;

pub(crate) use ring_window::RingWindow;
