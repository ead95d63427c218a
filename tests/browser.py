"""A page in headless Chromium, by the DevTools protocol over a pipe: nothing but the browser is needed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe")
FINDINGS = """(() => {
  const width = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll("body *")].filter((element) => {
    if (element.closest(".scroll") || element.closest(".viewer")) return false;
    return element.getBoundingClientRect().right > width + 0.5;
  });
  return JSON.stringify({
    width, scroll_width: document.documentElement.scrollWidth,
    wide: wide.map((element) => element.tagName + "." + element.getAttribute("class")).slice(0, 8),
    pictures: document.images.length,
    broken: [...document.images].filter((image) => !image.complete || image.naturalWidth === 0).length,
    plots: document.querySelectorAll("svg.plot").length,
    flat: [...document.querySelectorAll("svg.plot")].filter((svg) => svg.getBoundingClientRect().height < 40).length,
    zoomed: (() => {
      const button = document.querySelector("[data-zoom=in]");
      if (!button) return "";
      button.click();
      const said = document.querySelector(".viewer .inner").style.transform;
      document.querySelector("[data-zoom=all]").click();
      return said;
    })(),
  });
})()"""


@dataclass(frozen=True)
class Looked:
    """What a browser found: `FINDINGS`, script errors and log entries, addresses that were asked for, a PNG."""

    findings: dict[str, Any]
    errors: list[str]
    requests: list[str]
    png: bytes


class Chromium:
    """A browser as a context manager."""

    def __init__(self, program: str = "chromium") -> None:
        self.program = program

    def __enter__(self) -> Chromium:
        self.folder = tempfile.TemporaryDirectory(prefix="stillwater-browser-")
        from_us, to_us = os.pipe(), os.pipe()

        def pipes() -> None:
            os.dup2(from_us[0], 3)
            os.dup2(to_us[1], 4)

        os.set_inheritable(from_us[0], True)
        os.set_inheritable(to_us[1], True)
        self.process = subprocess.Popen([self.program, *FLAGS, f"--user-data-dir={self.folder.name}", "about:blank"],
                                        preexec_fn=pipes, pass_fds=(3, 4, from_us[0], to_us[1]),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(from_us[0])
        os.close(to_us[1])
        self.out, self.into = os.fdopen(from_us[1], "wb"), os.fdopen(to_us[0], "rb")
        self.number, self.buffer, self.events = 0, b"", []
        return self

    def __exit__(self, *_: object) -> None:
        self.out.close()
        self.process.terminate()
        self.process.wait(20)
        self.into.close()
        self.folder.cleanup()

    def message(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            more = os.read(self.into.fileno(), 1 << 20)
            if not more:
                raise RuntimeError("the browser has ended")
            self.buffer += more
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The answer to a command; events that come meanwhile are kept."""
        self.number += 1
        request = {"id": self.number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self.out.write(json.dumps(request).encode() + b"\0")
        self.out.flush()
        while True:
            said = self.message()
            if said.get("id") == self.number:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return said["result"]
            self.events.append(said)

    def wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def look(self, page: Path, width: int, height: int, dark: bool = False, whole: bool = True) -> Looked:
        """Opens a page from disk in a window of this size, in CSS pixels."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.events.clear()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", session)
        self.call("Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", session, features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", session, url=page.resolve().as_uri())
        self.wait_for("Page.loadEventFired")
        found = self.call("Runtime.evaluate", session, expression=FINDINGS)["result"]
        size = self.call("Page.getLayoutMetrics", session)["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": width, "height": size["height"] if whole else height, "scale": 1}
        shot = self.call("Page.captureScreenshot", session, clip=clip, captureBeyondViewport=True)["data"]
        errors = [json.dumps(event["params"])[:400] for event in self.events
                  if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")]
        requests = [event["params"]["request"]["url"] for event in self.events
                    if event.get("method") == "Network.requestWillBeSent"]
        self.call("Target.closeTarget", targetId=target)
        return Looked(json.loads(found["value"]), errors, [url for url in requests if not url.startswith("data:")],
                      base64.b64decode(shot))
