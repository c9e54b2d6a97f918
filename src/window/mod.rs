//! The window: a face of the engine that sends [`EngineCommand`](dtorrent::engine::api::EngineCommand)s and
//! draws snapshots. Layer 4.
//!
//! One file per widget, each with its template of the same name in `ui/`; what the main window does is in `actions`,
//! `client_wide`, `arranging`, `choosing`, `removal`, `opening`, `messages`, `foot` and `folding` as well; `preferences`
//! and `ring` are windows of their own. Nothing here reads a file, opens a socket or waits on the GTK thread: what takes
//! time runs on a thread of its own and answers by a channel that a future on the GTK thread reads.

mod actions;
mod add_dialog;
mod add_peer;
mod application;
mod arranging;
mod awake;
mod background;
mod bans_dialog;
mod children;
mod choosing;
mod client_wide;
mod columns;
mod content;
mod content_tree;
mod create_dialog;
mod creation;
mod details_pane;
mod dragging;
mod edge;
mod engine_link;
mod farewell_page;
mod file_names;
mod file_nodes;
mod file_row;
mod file_tree;
mod files_asked;
mod files_page;
mod filter_bar;
#[cfg(test)]
mod fixture;
mod folding;
mod foot;
mod frames;
mod i18n;
mod library;
mod limits_choice;
mod limits_words;
mod link_question;
mod log_line;
mod log_object;
mod log_reader;
mod log_row;
mod log_window;
mod main_window;
mod messages;
mod name_order;
mod naming;
mod one_line;
mod one_stop;
mod opening;
mod overview_page;
mod overwriting;
mod peer_columns;
mod peer_object;
mod peer_words;
mod peers_page;
mod piece_cells;
mod piece_map;
mod piece_swatch;
mod preferences;
mod property_row;
mod question;
mod remembered;
mod removal;
mod remove_choice;
mod ring;
mod row_object;
mod row_words;
mod scrolling;
mod several_page;
mod shared_page;
mod side_pane;
mod slowness;
mod space;
mod speed_graph;
mod speed_words;
mod store;
mod template;
mod tips;
mod toasts;
mod toplevels;
mod torrent_files;
mod torrent_list;
mod torrent_object;
mod torrent_out;
mod torrent_row;
mod torrent_tree;
mod totals_window;
mod tracker_editor;
mod tracker_row;
mod tracker_words;
mod trackers_page;
mod view;
mod words;
mod wrap;

pub(crate) use application::{Application, Start};
pub(crate) use i18n::set_up as set_up_language;
