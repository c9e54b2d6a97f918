//! The window: a face of the engine that sends [`EngineCommand`](dtorrent::engine::api::EngineCommand)s and
//! draws snapshots. Layer 4.
//!
//! One file per widget, each with its template of the same name in `ui/`; what the main window does is in `actions`,
//! `opening`, `messages`, `foot` and `folding` as well. Nothing here reads a file, opens a socket or waits on the
//! GTK thread: what takes time runs on a thread of its own and answers by a channel that a future on the GTK thread
//! reads.

mod actions;
mod application;
mod create_dialog;
mod creation;
mod details_pane;
mod engine_link;
mod farewell_page;
mod file_node;
mod file_row;
mod folding;
mod foot;
mod general_page;
mod limits_choice;
mod main_window;
mod messages;
mod opening;
mod peer_object;
mod piece_bar;
mod property_row;
mod question;
mod remove_choice;
mod statistics_page;
mod store;
mod template;
mod torrent_files;
mod torrent_list;
mod torrent_object;
mod torrent_row;
mod tracker_row;
mod tracker_words;
mod words;

pub(crate) use application::{Application, Start};
