"""A libtorrent session for the tests: its one argument is JSON, its output is for the test's log.

    {"ip": "127.20.0.1", "port": 6881, "dir": "...", "torrents": ["..."], "stay": false, "seed": false,
     "peers": ["127.20.0.2:6881"]}

It checks the data that is there and fetches the rest; with "seed" it takes the data for whole. When all is complete it says "finished" on a line, and
ends, or with "stay" goes on sharing until its standard input closes.
"""

import json
import os
import sys
import threading

import libtorrent as lt


# What goes to the log: errors, trackers, and who comes and goes.
TOLD = (lt.alert.category_t.error_notification | lt.alert.category_t.tracker_notification
        | lt.alert.category_t.connect_notification)


def open_session(job):
    return lt.session({
        "listen_interfaces": f'{job["ip"]}:{job["port"]}',
        "outgoing_interfaces": job["ip"],
        # Only the tracker tells of peers, and only TCP without encryption carries data.
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
        "stop_tracker_timeout": 1,
        "alert_mask": lt.alert.category_t.all_categories,
    })


def add(session, job, path):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(path)
    params.save_path = job["dir"]
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if job["seed"]:
        params.flags |= lt.torrent_flags.seed_mode
    handle = session.add_torrent(params)
    for peer in job["peers"]:
        ip, port = peer.rsplit(":", 1)
        handle.connect_peer((ip, int(port)))
    return handle


def wait_until(session, handles, reached):
    while not all(reached(handle.status()) for handle in handles):
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            if alert.category() & TOLD:
                print(alert.message(), file=sys.stderr, flush=True)


def main():
    job = json.loads(sys.argv[1])
    # Whatever happens to those who started us, we do not outlive them.
    closed = threading.Event()

    def watch():
        sys.stdin.read()
        closed.set()
        if not job["stay"]:
            os._exit(3)

    threading.Thread(target=watch, daemon=True).start()

    session = open_session(job)
    handles = [add(session, job, path) for path in job["torrents"]]
    wait_until(session, handles, lambda status: status.is_seeding)
    print("finished", flush=True)
    if job["stay"]:
        closed.wait()


main()
