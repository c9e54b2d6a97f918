//! The face for `http://` URLs (BEP 3, BEP 7, BEP 23, BEP 48). Layer 3.
//!
//! | module | what |
//! |---|---|
//! | `head` | the head of a request, read and judged |
//! | `session` | a connection as a machine: bytes in, bytes out, whatever stands between |
//! | `desk` | one request in, one response out |
//! | `pages` | what is not for clients: figures, and the page that draws them |
//! | `response` | responses as bytes |
//! | `connection`, `connections` | sockets with their sessions and deadlines |
//! | `threads` | the listeners, and the threads that sleep in `epoll` |
//!
//! A connection on which nothing is under way holds no buffer: reading and writing go through buffers of the thread,
//! and only what was cut off by a packet's end, or is not taken by the kernel, is kept with the connection.

mod connection;
mod connections;
mod desk;
mod head;
mod pages;
mod response;
mod session;
mod threads;

pub(super) use threads::{HttpFace, listen, start};
