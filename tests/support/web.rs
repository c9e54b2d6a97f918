//! HTTP servers that answer with whatever a script says, HTTP or not.

use std::io::{self, BufRead, BufReader};
use std::net::TcpStream;

use super::server::Server;
use super::stage::fresh_ip;

/// Answers each connection's first request and closes it.
#[derive(Debug)]
pub(crate) struct ScriptedWeb {
    server: Server,
}

impl ScriptedWeb {
    /// `answer` gets the path that was asked for, with its query, and the connection to write to.
    pub(crate) fn start(
        answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let serve = move |mut stream: TcpStream| {
            let mut lines = BufReader::new(stream.try_clone()?).lines();
            let request = lines.next().transpose()?.unwrap_or_default();
            // The rest of the head says nothing that matters here.
            while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
            let path = request.split(' ').nth(1).unwrap_or_default();
            answer(path, &mut stream)
        };
        Self {
            server: Server::start(fresh_ip(), serve),
        }
    }

    /// Its URL with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    /// How many requests came.
    pub(crate) fn request_count(&self) -> usize {
        self.server.connection_count()
    }
}
