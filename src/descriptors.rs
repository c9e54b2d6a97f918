//! How many sockets and files the process may have open. Layer 3.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open descriptors as far as the system lets a program by itself (`RLIMIT_NOFILE`, its soft
/// limit to its hard one): the usual 1,024 is less than the connections and files of a busy client. For the
/// start of a program; what it starts itself inherits the limit.
///
/// If the system refuses, the limit stays as it is, which a client with few connections never notices.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            log::warn!("the limit of open files stays at {:?}: {error}", limit.current);
        }
    }
}
