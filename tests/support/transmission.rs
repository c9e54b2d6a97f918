//! Transmission's daemon, driven by its RPC.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::{Process, Program};
use super::stage::{Stage, free_port, fresh_address, wait_for};

/// Value of a torrent's `status` while it seeds.
const SEEDING: i64 = 6;

/// One daemon with one torrent. It never connects to a loopback address of its own accord (it takes them for
/// mistakes), so somebody else has to. It closes a connection that comes from an address with which it is just
/// exchanging handshakes, which two torrents at a time would run into: hence only one.
#[derive(Debug)]
pub(crate) struct Transmission {
    /// The program.
    pub(crate) process: Process,
    rpc: String,
    /// The token against forged requests that every call must carry.
    session: String,
}

impl Transmission {
    /// Shares this torrent, with its data below `dir`; it checks what is there and fetches the rest.
    pub(crate) fn start(stage: &Stage, name: &str, torrent: &Path, dir: &Path) -> Self {
        let address = fresh_address();
        let rpc_port = free_port(*address.ip());
        let config = stage.folder(name);
        let settings = json!({
            "bind-address-ipv4": address.ip(),
            "bind-address-ipv6": "::1",
            "peer-port": address.port(),
            "rpc-bind-address": address.ip(),
            "rpc-port": rpc_port,
            "rpc-whitelist-enabled": false,
            "rpc-host-whitelist-enabled": false,
            // Only the tracker tells of peers, and only TCP without encryption carries data.
            "dht-enabled": false,
            "lpd-enabled": false,
            "pex-enabled": false,
            "utp-enabled": false,
            "port-forwarding-enabled": false,
            "encryption": 0,
            "download-dir": dir,
            "preallocation": 0,
        });
        fs::write(config.join("settings.json"), settings.to_string()).unwrap();
        let program = Program::new("transmission-daemon", "transmission-daemon");
        let arguments = [
            "-f".as_ref(),
            "--log-info".as_ref(),
            "-g".as_ref(),
            config.as_os_str(),
        ];
        let mut process = Process::start(stage, name, program, arguments);
        let rpc = format!("http://{}:{rpc_port}/transmission/rpc", address.ip());
        let session = wait_for("Transmission's RPC", Duration::from_secs(30), || {
            process.assert_running();
            session_of(&rpc)
        });
        let transmission = Self {
            process,
            rpc,
            session,
        };
        transmission.call(
            "torrent-add",
            &json!({ "filename": torrent, "download-dir": dir }),
        );
        transmission
    }

    /// Waits until it has everything.
    pub(crate) fn wait_finished(&mut self, limit: Duration) {
        wait_for("Transmission to complete its torrent", limit, || {
            self.process.assert_running();
            let reply = self.call("torrent-get", &json!({ "fields": ["status", "percentDone"] }));
            let torrent = reply["torrents"].get(0)?;
            (torrent["status"] == SEEDING && torrent["percentDone"] == 1.0).then_some(())
        });
    }

    fn call(&self, method: &str, arguments: &Value) -> Value {
        let request = json!({ "method": method, "arguments": arguments });
        let reply = ureq::post(&self.rpc)
            .header("X-Transmission-Session-Id", &self.session)
            .send(request.to_string())
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
        let mut reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["result"], "success", "{method}: {reply}");
        reply["arguments"].take()
    }
}

/// The first call is refused, with the token for the next ones.
fn session_of(rpc: &str) -> Option<String> {
    let lenient = ureq::Agent::config_builder().http_status_as_error(false).build();
    let reply = ureq::Agent::new_with_config(lenient).post(rpc).send("{}").ok()?;
    Some(
        reply
            .headers()
            .get("X-Transmission-Session-Id")?
            .to_str()
            .ok()?
            .to_owned(),
    )
}
