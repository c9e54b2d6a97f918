"""libtorrent for the benchmark: its one argument is JSON.

    {"role": "leech", "ip": "127.0.1.1", "port": 6881, "dir": "...", "torrents": ["..."]}
    {"role": "create", "path": "...", "out": "...", "piece_length": 1048576}

leech and check end when everything is complete, seed goes on until it is killed. The settings are those for speed: its
own preset for seeds, no limit of any kind, TCP without encryption.
"""

import json
import os
import sys
import time

import libtorrent as lt

FATAL = ("torrent_error_alert", "file_error_alert", "metadata_failed_alert")


def settings(job):
    return lt.high_performance_seed() | {
        "listen_interfaces": f'{job["ip"]}:{job["port"]}',
        "outgoing_interfaces": job["ip"],
        # Only the tracker tells of peers.
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "in_enc_policy": int(lt.enc_policy.pe_disabled),
        "out_enc_policy": int(lt.enc_policy.pe_disabled),
        # Its guard against forged requests is strict with trackers on loopback addresses.
        "ssrf_mitigation": False,
        "allow_multiple_connections_per_ip": True,
        "active_limit": -1,
        "active_seeds": -1,
        "active_downloads": -1,
        "active_checking": 2,
        "active_tracker_limit": -1,
        "connections_limit": 8000,
        "unchoke_slots_limit": -1,
        "hashing_threads": os.cpu_count(),
        "aio_threads": 4,
        "stop_tracker_timeout": 0,
        "alert_mask": lt.alert.category_t.status_notification
        | lt.alert.category_t.error_notification | lt.alert.category_t.storage_notification,
    }


def add(session, job, path):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(path)
    params.save_path = job["dir"]
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if job["role"] == "seed":
        params.flags |= lt.torrent_flags.seed_mode
    return session.add_torrent(params)


def transfer(job):
    session = lt.session(settings(job))
    left = [add(session, job, path) for path in job["torrents"]]
    while job["role"] == "seed":
        time.sleep(3600)
    while left:
        session.wait_for_alert(20)
        for alert in session.pop_alerts():
            if alert.what() in FATAL:
                sys.exit(alert.message())
        left = [handle for handle in left if not handle.status().is_finished]
    # The end of the session waits for its disk threads.
    del session


def create(job):
    storage = lt.file_storage()
    lt.add_files(storage, job["path"])
    torrent = lt.create_torrent(storage, job["piece_length"], lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, os.path.dirname(job["path"]))
    with open(job["out"], "wb") as file:
        file.write(lt.bencode(torrent.generate()))


def main():
    job = json.loads(sys.argv[1])
    if job["role"] == "create":
        create(job)
    else:
        transfer(job)


main()
