#!/usr/bin/env python3
"""How soon a swarm of real processes has everything, and how often its seed sent it.

One seed with a limited upload and many leechers of one client that come at the same moment, in a network namespace of
its own. Times are in parts of size / rate of the seed: sooner than that it cannot be. The tracker is in this script, for
clients tell a tracker what they have sent. All data is in memory (/dev/shm); what was fetched is compared.

    benches/sharing/swarm.py --clients dtorrent,libtorrent,transmission --rounds 3
"""

import argparse
import contextlib
import filecmp
import http.server
import json
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Benchmarking addresses (RFC 2544): libtorrent does not limit what it takes for a local network, and Transmission dials
# no loopback address.
NETWORK = "198.18.0.0/15"
TRACKER = "198.18.0.1"
PORT = 6881
NAMESPACE = "DTORRENT_SHARING_NAMESPACE"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clients", default="dtorrent,libtorrent,transmission")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leechers", type=int, default=20)
    parser.add_argument("--size", type=int, default=64, metavar="MIB")
    parser.add_argument("--piece", type=int, default=256, metavar="KIB")
    parser.add_argument("--rate", type=int, default=1024, metavar="KIB/S", help="upload of the seed")
    parser.add_argument("--up", type=int, default=2048, metavar="KIB/S", help="upload of a leecher")
    parser.add_argument("--slow-up", type=int, metavar="KIB/S", help="upload of every second leecher, if another")
    parser.add_argument("--leaves", type=float, metavar="S", help="the first leecher leaves after this many seconds")
    parser.add_argument("--late", type=float, metavar="S", help="the last leecher comes after this many seconds")
    parser.add_argument("--one-network", action="store_true", help="all addresses share their first three bytes")
    parser.add_argument("--programs", type=Path, default=HERE.parents[1] / "target/release", help="where dtorrent-cli is")
    parser.add_argument("--baseline", type=Path, help="another dtorrent-cli, for the client `baseline`")
    return parser.parse_args()


class Tracker(http.server.BaseHTTPRequestHandler):
    """Tells everybody of everybody, and remembers what they say."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    peers = {}
    uploaded = {}

    def log_message(self, *_):
        pass

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, encoding="latin-1"))
        body = self.announce(query) if "port" in query else b"d14:failure reason7:refusede"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # Who has been stopped does not wait for the answer.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def announce(self, query):
        address = self.client_address[0]
        with self.lock:
            self.uploaded[address] = int(query.get("uploaded", 0))
            self.peers[address] = int(query["port"])
            if query.get("event") == "stopped":
                del self.peers[address]
            told = [socket.inet_aton(ip) + struct.pack(">H", port) for ip, port in self.peers.items() if ip != address]
        told = b"".join(told)
        return b"d8:intervali1800e5:peers%d:" % len(told) + told + b"e"


class Client:
    """One process. `finished` is set when it has everything."""

    def __init__(self, swarm, number, upload_kib, is_seed):
        self.address = swarm.address(number)
        self.folder = swarm.content if is_seed else swarm.root / f"data-{number}"
        self.state = swarm.root / f"state-{number}"
        self.folder.mkdir(exist_ok=True)
        self.state.mkdir()
        self.finished = None
        self.uploaded = None
        self.log = open(self.state / "out", "w")
        self.process = subprocess.Popen(
            self.command(swarm, upload_kib, is_seed), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            stderr=self.log, env=dict(os.environ, HOME=str(self.state), XDG_CONFIG_HOME=str(self.state)))
        self.watcher = threading.Thread(target=self.watch, args=(swarm,), daemon=True)
        self.watcher.start()

    def watch(self, _):
        for line in self.process.stdout:
            self.log.write(line)
            if line.startswith(("seeding", "finished")) and self.finished is None:
                self.finished = time.monotonic()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self):
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Dtorrent(Client):
    def program(self, arguments):
        return arguments.programs / "dtorrent-cli"

    def command(self, swarm, upload_kib, is_seed):
        config = self.state / "config.toml"
        config.write_text(f"[transfer]\nupload_limit_kib = {upload_kib}\n")
        return [self.program(swarm.arguments), "seed" if is_seed else "download", swarm.torrent,
                "--trust" if is_seed else "--seed", "--dir", self.folder, "--port", str(PORT), "--bind", self.address,
                "--config", config, "--state", self.state]


class Baseline(Dtorrent):
    def program(self, arguments):
        return arguments.baseline


class Libtorrent(Client):
    def command(self, swarm, upload_kib, is_seed):
        job = {"ip": self.address, "port": PORT, "upload": upload_kib * 1024, "torrent": str(swarm.torrent),
               "dir": str(self.folder), "seed": is_seed}
        return ["/usr/bin/python3", HERE / "libtorrent_peer.py", json.dumps(job)]


class Transmission(Client):
    def command(self, swarm, upload_kib, _):
        settings = {
            "bind-address-ipv4": self.address, "bind-address-ipv6": "::1", "peer-port": PORT,
            "rpc-bind-address": self.address, "rpc-whitelist-enabled": False, "rpc-host-whitelist-enabled": False,
            "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False, "utp-enabled": False,
            "port-forwarding-enabled": False, "encryption": 0, "download-dir": str(self.folder), "preallocation": 0,
            # It counts in thousands.
            "speed-limit-up": round(upload_kib * 1.024), "speed-limit-up-enabled": True,
        }
        (self.state / "settings.json").write_text(json.dumps(settings))
        self.session = ""
        return ["transmission-daemon", "-f", "-g", self.state]

    def watch(self, swarm):
        while self.process.poll() is None:
            try:
                self.call("torrent-add", filename=str(swarm.torrent), **{"download-dir": str(self.folder)})
                break
            except OSError:
                time.sleep(0.2)
        while self.process.poll() is None:
            try:
                torrent = self.call("torrent-get", fields=["status", "percentDone", "uploadedEver"])["torrents"][0]
            except (OSError, IndexError, KeyError):
                time.sleep(0.2)
                continue
            self.uploaded = torrent["uploadedEver"]
            if torrent["percentDone"] == 1 and torrent["status"] == 6 and self.finished is None:
                self.finished = time.monotonic()
            time.sleep(0.3)

    def call(self, method, **values):
        for _ in range(2):
            request = urllib.request.Request(
                f"http://{self.address}:9091/transmission/rpc", json.dumps({"method": method, "arguments": values}).encode(),
                {"X-Transmission-Session-Id": self.session})
            try:
                return json.load(urllib.request.urlopen(request, timeout=20))["arguments"]
            except urllib.error.HTTPError as error:
                # The first call is refused, with the token for the next ones.
                self.session = error.headers.get("X-Transmission-Session-Id", "")
        return {}


KINDS = {"dtorrent": Dtorrent, "baseline": Baseline, "libtorrent": Libtorrent, "transmission": Transmission}


class Swarm:
    def __init__(self, arguments, root):
        self.arguments = arguments
        self.root = root
        self.content = root / "content"
        self.content.mkdir()
        with open(self.content / "data.bin", "wb") as file:
            for _ in range(arguments.size):
                file.write(os.urandom(1 << 20))
        self.torrent = root / "data.torrent"
        subprocess.run([arguments.programs / "dtorrent-cli", "create", self.content / "data.bin", "-o", self.torrent, "--tracker",
                        f"http://{TRACKER}:6969/announce", "--piece-length", str(arguments.piece << 10)],
                       check=True, stdout=subprocess.DEVNULL)

    def address(self, number):
        return f"198.18.1.{number + 1}" if self.arguments.one_network else f"198.18.{number + 1}.1"

    def play(self, kind):
        """Times of the leechers that stayed, in seconds, and the copies that the seed sent."""
        arguments = self.arguments
        Tracker.peers.clear()
        Tracker.uploaded.clear()
        clients = [KINDS[kind](self, 0, arguments.rate, True)]
        try:
            self.until(lambda: clients[0].address in Tracker.peers, 60, "the seed did not announce itself")
            time.sleep(1)
            start = time.monotonic()
            late = None
            for number in range(1, arguments.leechers + 1):
                is_slow = arguments.slow_up is not None and number % 2 == 0
                upload = arguments.slow_up if is_slow else arguments.up
                if arguments.late is not None and number == arguments.leechers:
                    late = (number, upload)
                else:
                    clients.append(KINDS[kind](self, number, upload, False))
            stayers = clients[1:]
            if arguments.leaves is not None or late is not None:
                stayers = self.come_and_go(kind, clients, late, start)
            optimum = arguments.size * 1024 / arguments.rate
            self.until(lambda: all(one.finished for one in stayers), 5 * optimum + 60, "not everybody has it")
            took = sorted(one.finished - start for one in stayers)
        finally:
            for one in clients:
                one.stop()
            for one in clients:
                one.wait()
        for one in stayers:
            if not filecmp.cmp(one.folder / "data.bin", self.content / "data.bin", shallow=False):
                sys.exit(f"{one.folder} has other data than the seed")
        uploaded = clients[0].uploaded or Tracker.uploaded.get(clients[0].address, 0)
        return took, uploaded / (arguments.size << 20)

    def come_and_go(self, kind, clients, late, start):
        arguments = self.arguments
        events = [(arguments.leaves, "leave"), (arguments.late, "come")]
        stayers = clients[1:]
        for at, what in sorted(event for event in events if event[0] is not None):
            time.sleep(max(0.0, start + at - time.monotonic()))
            if what == "leave":
                clients[1].stop()
                stayers = stayers[1:]
            else:
                clients.append(KINDS[kind](self, *late, False))
                stayers.append(clients[-1])
        return stayers

    @staticmethod
    def until(holds, seconds, otherwise):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                sys.exit(otherwise)
            time.sleep(0.05)


def main():
    args = arguments()
    if NAMESPACE not in os.environ:
        os.environ[NAMESPACE] = "1"
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.execvp("unshare", ["unshare", *as_root, "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", NETWORK, "dev", "lo"], check=True)
    http.server.ThreadingHTTPServer.request_queue_size = 128
    server = http.server.ThreadingHTTPServer((TRACKER, 6969), Tracker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    optimum = args.size * 1024 / args.rate
    clients = args.clients.split(",")
    results = {kind: [] for kind in clients}
    # In turn, so that whatever else the machine does meets all of them.
    for number in range(args.rounds):
        for kind in clients:
            root = Path(tempfile.mkdtemp(prefix="dtorrent-sharing-", dir="/dev/shm"))
            try:
                took, copies = Swarm(args, root).play(kind)
            finally:
                shutil.rmtree(root)
            half, last = took[len(took) // 2] / optimum, took[-1] / optimum
            results[kind].append((last, half, copies))
            print(f"round {number + 1}, {kind}: median {half:.3f}, last {last:.3f}, copies {copies:.3f}",
                  file=sys.stderr, flush=True)
    print(f"{args.leechers} leechers, {args.size} MiB in pieces of {args.piece} KiB; optimum {optimum:.0f} s")
    print(f"{'client':<14}{'last / optimum':>24}{'median / optimum':>18}{'copies sent':>14}")
    for kind, rounds in results.items():
        last, half, copies = zip(*rounds)
        spread = f"{statistics.median(last):.2f} ({min(last):.2f} to {max(last):.2f})"
        print(f"{kind:<14}{spread:>24}{statistics.median(half):>18.2f}{statistics.median(copies):>14.2f}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
