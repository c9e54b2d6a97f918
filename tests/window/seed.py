#!/usr/bin/python3
"""Seeds a torrent with libtorrent on loopback: seed.py TORRENT FOLDER. Prints the port, and runs until its
standard input ends."""

import sys

import libtorrent

torrent, folder = sys.argv[1:]
session = libtorrent.session({
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_natpmp": False,
    "enable_upnp": False,
    "close_redundant_connections": False,
})
parameters = libtorrent.add_torrent_params()
# Without its trackers: the one of the test would tell the seed of itself, and it would ban that address.
with open(torrent, "rb") as file:
    info = libtorrent.bdecode(file.read())[b"info"]
parameters.ti = libtorrent.torrent_info({b"info": info})
parameters.save_path = folder
# There from the first moment, and without a check.
parameters.flags = libtorrent.torrent_flags.seed_mode
session.add_torrent(parameters)
print(session.listen_port(), flush=True)
sys.stdin.read()
