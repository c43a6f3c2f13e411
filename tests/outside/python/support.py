"""The running server, and a browser of a few lines.

The server is started by `server.mjs`, which prints what it made and stops when its standard input ends. The browser keeps
cookies, follows redirects, sends forms, runs no script, and stops where it would leave the server under test.
"""

import json
import pathlib
import subprocess
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import requests

OUTSIDE = pathlib.Path(__file__).resolve().parent.parent
REDIRECTS_MAX = 20
PAGES_MAX = 12
ANSWER_SECONDS_MAX = 30


class Server:
    """One server for one class of tests."""

    def __init__(self):
        self._process = subprocess.Popen(
            ["node", str(OUTSIDE / "server.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start: exit code {self._process.wait()}")
        facts = json.loads(line)
        self.url = facts["url"]
        self.callback = facts["callback"]
        self.tenants = facts["tenants"]

    def stop(self):
        """Stops it, and fails when it did not end as it should."""
        self._process.stdin.close()
        code = self._process.wait(timeout=ANSWER_SECONDS_MAX)
        self._process.stdout.close()
        if code != 0:
            raise RuntimeError(f"the server ended with {code}")


class Left(Exception):
    """The browser goes to somebody else: the request that it would make."""

    def __init__(self, method, url, body):
        super().__init__(f"{method} {url}")
        self.method = method
        self.url = url
        self.body = body

    @property
    def parameters(self):
        return dict(parse_qsl(self.body if self.method == "POST" else urlsplit(self.url).query))


class Form:
    """A form of a page: where it goes, what it holds, and its buttons by id."""

    def __init__(self, action, method):
        self.action = action
        self.method = method
        self.fields = {}
        self.buttons = {}


class Forms(HTMLParser):
    """Reads the forms of a page."""

    def __init__(self, html, base):
        super().__init__()
        self._base = base
        self._open = None
        self.all = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "form":
            action = urljoin(self._base, found.get("action") or self._base)
            self._open = Form(action, (found.get("method") or "get").upper())
            self.all.append(self._open)
        elif self._open is None:
            return
        elif tag == "input" and found.get("name"):
            kind = (found.get("type") or "text").lower()
            if kind in ("submit", "button", "image"):
                return
            if kind not in ("checkbox", "radio") or "checked" in found:
                default = "on" if kind == "checkbox" else ""
                self._open.fields[found["name"]] = found.get("value") or default
        elif tag == "button":
            button = (found.get("name"), found.get("value") or "")
            self._open.buttons[found.get("id") or len(self._open.buttons)] = button

    def handle_endtag(self, tag):
        if tag == "form":
            self._open = None


class Browser:
    """What a person's browser does for one sign-in."""

    def __init__(self, server):
        self._origin = server.url
        self._session = requests.Session()
        self._session.trust_env = False

    def authorize(self, url, username, password):
        """Does what each page asks until the browser goes back to the client; answers with the request that it makes there."""
        try:
            page = self.visit(url)
            for _ in range(PAGES_MAX):
                page = self._answer(page, username, password)
        except Left as left:
            return left
        raise AssertionError(f"still at {page.url}\n{page.text}")

    def visit(self, url):
        """Visits a URL and answers with a page, or raises `Left`."""
        return self._navigate("GET", url, None, "none")

    def submit(self, page, form, values=None, button=None):
        """Sends a form by one of its buttons."""
        fields = {**form.fields, **(values or {})}
        name, value = form.buttons.get(button, (None, ""))
        if name:
            fields[name] = value
        if form.method == "GET":
            return self._navigate("GET", f"{form.action}?{urlencode(fields)}", None, "same-origin")
        return self._navigate("POST", form.action, urlencode(fields), "same-origin")

    def _answer(self, page, username, password):
        for form in Forms(page.text, page.url).all:
            if form.method == "POST" and {"username", "password"} <= form.fields.keys():
                person = {"username": username, "password": password}
                return self.submit(page, form, person, "sign-in-submit")
            if "consent-allow" in form.buttons:
                return self.submit(page, form, None, "consent-allow")
            if {"code", "error"} & form.fields.keys():
                return self.submit(page, form)
        raise AssertionError(f"nothing to answer at {page.url} ({page.status_code})\n{page.text}")

    def _navigate(self, method, url, body, site):
        for _ in range(REDIRECTS_MAX):
            if not url.startswith(f"{self._origin}/"):
                raise Left(method, url, body)
            headers = {
                "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
                "Sec-Fetch-Site": site,
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "document",
            }
            if method == "POST":
                headers["Origin"] = self._origin
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            answer = self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False, timeout=ANSWER_SECONDS_MAX
            )
            if not answer.is_redirect:
                return answer
            url = urljoin(url, answer.headers["Location"])
            if answer.status_code not in (307, 308):
                method, body = "GET", None
        raise AssertionError(f"more than {REDIRECTS_MAX} redirects, the last to {url}")
