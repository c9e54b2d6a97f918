#!/usr/bin/python3
"""A browser without a screen, for the tests of pages: Chromium, driven by WebDriver with the standard library.

Takes a folder for the browser's own files. Each line on standard input is a JSON list, a command and its arguments;
each is answered by one JSON line: {"ok": ...} or {"error": "..."}. It ends, with the browser, at the end of its input.

    ["open", URL]          show that page
    ["run", SCRIPT]        what the script returns
    ["click", CSS]         click on what that selector finds
    ["keys", CSS, TEXT]    give it the focus and type
    ["scheme", NAME]       prefer "light" or "dark"
    ["size", W, H]         be a screen of so many pixels
    ["shot", PATH, W, H]   a picture of so much of the page
    ["console"]            what the page complained of since it was asked last
    ["requests"]           the addresses that were asked for since then
"""

import base64
import json
import re
import subprocess
import sys
import urllib.request

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars"
).split()
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# The question goes to this machine, whatever proxy is set.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Browser:
    def __init__(self, folder):
        # It ends with this script, however that ends, and takes the browser with it.
        command = ["setpriv", "--pdeathsig", "TERM", "--", "chromedriver", "--port=0"]
        self.driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = None
        for line in self.driver.stdout:
            found = re.search(r"successfully on port (\d+)", line)
            if found:
                port = found.group(1)
                break
        if port is None:
            raise RuntimeError("chromedriver did not start")
        self.base = f"http://127.0.0.1:{port}/session"
        options = {"args": FLAGS + [f"--user-data-dir={folder}"]}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs}
        try:
            session = self.ask("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        except Exception:
            self.driver.terminate()
            raise
        self.base += f"/{session}"

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            answer = OPENER.open(request, timeout=600)
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"].splitlines()[0]) from None
        with answer:
            return json.load(answer)["value"]

    def cdp(self, command, **params):
        return self.ask("/goog/cdp/execute", {"cmd": command, "params": params})

    def find(self, css):
        return self.ask("/element", {"using": "css selector", "value": css})[ELEMENT]

    def open(self, url):
        self.ask("/url", {"url": url})

    def run(self, script):
        return self.ask("/execute/sync", {"script": script, "args": []})

    def click(self, css):
        self.ask(f"/element/{self.find(css)}/click", {})

    def keys(self, css, text):
        self.ask(f"/element/{self.find(css)}/value", {"text": text})

    def scheme(self, name):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def shot(self, path, width, height):
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        picture = self.cdp("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture))

    def console(self):
        return [entry["message"] for entry in self.ask("/se/log", {"type": "browser"})]

    def requests(self):
        entries = [json.loads(entry["message"])["message"] for entry in self.ask("/se/log", {"type": "performance"})]
        return [entry["params"]["request"]["url"] for entry in entries if entry["method"] == "Network.requestWillBeSent"]

    def end(self):
        try:
            self.ask("", method="DELETE")
        finally:
            self.driver.terminate()
            self.driver.wait()


COMMANDS = ("open", "run", "click", "keys", "scheme", "size", "shot", "console", "requests")


def main():
    browser = Browser(sys.argv[1])
    try:
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            try:
                if name not in COMMANDS:
                    raise ValueError(f"no command {name}")
                answer = {"ok": getattr(browser, name)(*arguments)}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)
    finally:
        browser.end()


main()
