"""A browser driven by WebDriver (Debian's chromium and chromium-driver), with the standard library only."""
import base64, json, os, socket, subprocess, tempfile, time, urllib.error, urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Browser:
    def __init__(self, width=1280, height=900, video=None, dark=False):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                f"--window-size={width},{height}", f"--user-data-dir={self.folder.name}/profile",
                "--disable-background-networking", "--disable-component-update", "--no-first-run",
                "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        if video: args.append(f"--use-file-for-fake-video-capture={video}")
        if dark: args.append("--blink-settings=preferredColorScheme=0")
        options = {"args": args, "prefs": {"download.default_directory": self.folder.name}}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
                                                   "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}}}
        for _ in range(100):
            try:
                self.session = self.ask("POST", "/session", wanted)["sessionId"]
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        self.base = f"/session/{self.session}"
        self.command("POST", "/timeouts", {"script": 60000})

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            raise RuntimeError(json.load(e)["value"]["message"].split("\n")[0]) from None

    def command(self, method, path, body=None):
        return self.ask(method, self.base + path, body)

    def open(self, url): self.command("POST", "/url", {"url": url})

    def run(self, script, *args): return self.command("POST", "/execute/sync", {"script": script, "args": list(args)})

    def run_async(self, script, *args):
        return self.command("POST", "/execute/async", {"script": script, "args": list(args)})

    def find(self, css): return self.command("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css): self.command("POST", f"/element/{self.find(css)}/click", {})

    def type(self, css, text): self.command("POST", f"/element/{self.find(css)}/value", {"text": text})

    def press(self, key):
        self.command("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": [
            {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]})

    def tree(self, css):
        """Role and name of an element, as a screen reader gets them."""
        element = self.find(css)
        return (self.command("GET", f"/element/{element}/computedrole"),
                self.command("GET", f"/element/{element}/computedlabel"))

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1,
                                                        "mobile": width < 600})

    def cdp(self, name, params): return self.command("POST", "/goog/cdp/execute", {"cmd": name, "params": params})

    def wait(self, script, seconds=20, *args):
        end = time.time() + seconds
        while time.time() < end:
            value = self.run(f"return {script}", *args)
            if value: return value
            time.sleep(0.1)
        raise TimeoutError(script)

    def screenshot(self, path, whole=True):
        kind = {"format": "jpeg", "quality": 82} if path.endswith(".jpg") else {}
        shot = self.cdp("Page.captureScreenshot", {"captureBeyondViewport": whole, **kind})["data"]
        with open(path, "wb") as f: f.write(base64.b64decode(shot))

    def requests(self):
        """The addresses that were asked for since the last call."""
        lines = self.command("POST", "/se/log", {"type": "performance"})
        messages = (json.loads(line["message"])["message"] for line in lines)
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def complaints(self):
        return [line["message"] for line in self.command("POST", "/se/log", {"type": "browser"})
                if line["level"] == "SEVERE"]

    def close(self):
        try:
            self.command("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            time.sleep(0.2)
            try:
                self.folder.cleanup()
            except OSError:
                pass
