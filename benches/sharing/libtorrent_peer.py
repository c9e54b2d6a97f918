"""One libtorrent session with one torrent; its argument is JSON, see swarm.py. Says "finished" when it has everything."""

import json
import signal
import sys

import libtorrent as lt

job = json.loads(sys.argv[1])
ends = []
signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
session = lt.session({
    "listen_interfaces": f'{job["ip"]}:{job["port"]}',
    "outgoing_interfaces": job["ip"],
    "upload_rate_limit": job["upload"],
    # Only the tracker tells of peers, and only TCP without encryption carries data.
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "in_enc_policy": int(lt.enc_policy.pe_disabled),
    "out_enc_policy": int(lt.enc_policy.pe_disabled),
    "stop_tracker_timeout": 2,
})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(job["torrent"])
params.save_path = job["dir"]
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
if job["seed"]:
    params.flags |= lt.torrent_flags.seed_mode
torrent = session.add_torrent(params)
told = False
while not ends:
    session.wait_for_alert(100)
    session.pop_alerts()
    if not told and torrent.status().is_seeding:
        told = True
        print("finished", flush=True)
del session  # Returns when the tracker has been told.
