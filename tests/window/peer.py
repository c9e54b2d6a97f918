#!/usr/bin/python3
"""A libtorrent peer on loopback: peer.py TORRENT FOLDER [part | IP:PORT]. Prints its own port.

Without more it has the data in FOLDER and seeds until its standard input ends. With "part" it may have only some of it,
and wants no more. With an address it fetches everything from there into FOLDER, and ends."""

import sys

import libtorrent

torrent, folder, *more = sys.argv[1:]
is_part = more == ["part"]
source = [] if is_part else more
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
# A seed is there from the first moment, and without a check.
flags = libtorrent.torrent_flags
parameters.flags = flags.upload_mode if is_part else flags.default_flags if source else flags.seed_mode
handle = session.add_torrent(parameters)
checking = ("checking_files", "checking_resume_data")
while is_part and (str(handle.status().state) in checking or not handle.status().num_pieces):
    session.wait_for_alert(100)
    session.pop_alerts()
print(session.listen_port(), flush=True)
if source:
    ip, port = source[0].rsplit(":", 1)
    handle.connect_peer((ip, int(port)))
    while not handle.status().is_seeding:
        session.wait_for_alert(100)
        session.pop_alerts()
else:
    sys.stdin.read()
