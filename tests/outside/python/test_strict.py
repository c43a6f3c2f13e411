"""Authlib, unchanged, against the strict profile, of which it knows nothing but the addresses."""

import os
import unittest

# The library refuses plain http otherwise; the server under test is on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from support import ANSWER_SECONDS_MAX, Browser, Forms, Left, Server

HERE = "/api/id/v1/auth"
SEVEN = ("redirect_uri", "response_type", "client_id", "scope", "state", "code_challenge", "code_challenge_method")
SHOWN = ("redirect_uri", "client_id")


class Strict(unittest.TestCase):
    """From the authorization request to sign-out, and each of the seven parameters missing."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)

    def connect(self, client_id, scope):
        client = self.server.tenants["default"]["clients"][client_id]
        method = client["token_endpoint_auth_method"]
        session = OAuth2Session(
            client_id,
            client.get("client_secret"),
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            scope=scope,
            redirect_uri=self.server.callback,
            code_challenge_method="S256",
            default_timeout=ANSWER_SECONDS_MAX,
        )
        self.addCleanup(session.close)
        return session

    def at(self, name):
        return f"{self.server.url}{HERE}/{name}"

    def walk(self, client_id, scope):
        user = self.server.tenants["default"]["user"]
        session = self.connect(client_id, scope)
        browser = Browser(self.server)
        verifier = generate_token(64)
        url, state = session.create_authorization_url(self.at("authorize"), code_verifier=verifier)
        left = browser.authorize(url, user["username"], user["password"])
        self.assertTrue(left.url.startswith(f"{self.server.callback}?"), left.url)
        self.assertEqual(left.parameters["state"], state)
        token = session.fetch_token(self.at("token"), authorization_response=left.url, code_verifier=verifier)
        self.assertNotIn("id_token", token)
        self.assertEqual(session.get(self.at("userinfo")).json()["email"], user["email"])
        if session.client_secret:
            token = session.refresh_token(self.at("token"), refresh_token=token["refresh_token"])
            self.assertEqual(session.get(self.at("userinfo")).status_code, 200)
        answer = session.revoke_token(self.at("revoke"), token=token["access_token"])
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(session.get(self.at("userinfo")).status_code, 401)
        with self.assertRaises(OAuthError) as refusal:
            session.fetch_token(self.at("token"), authorization_response=left.url, code_verifier=verifier)
        self.assertEqual(refusal.exception.error, "invalid_grant")
        self.sign_out(browser, client_id)

    def sign_out(self, browser, client_id):
        bye = self.server.callback.replace("/callback", "/bye")
        query = {"client_id": client_id, "post_logout_redirect_uri": bye, "state": "so long"}
        with self.assertRaises(Left) as left:
            page = browser.visit(requests.Request("GET", self.at("logout"), params=query).prepare().url)
            form = next(form for form in Forms(page.text, page.url).all if "logout-confirm" in form.buttons)
            browser.submit(page, form, None, "logout-confirm")
        self.assertTrue(left.exception.url.startswith(f"{bye}?"), left.exception.url)
        self.assertEqual(left.exception.parameters, {"state": "so long"})

    def test_seed_003_without_a_secret(self):
        self.walk("field-app", "profile email reports.read")

    def test_seed_003_with_a_secret_and_a_refresh(self):
        self.walk("field-web", "profile email offline_access")

    def test_seed_003_each_of_the_seven_parameters_is_required(self):
        for name in SEVEN:
            with self.subTest(name):
                session = self.connect("field-app", "profile")
                url, state = session.create_authorization_url(self.at("authorize"), code_verifier=generate_token(64))
                parts = requests.utils.urlparse(url)
                query = "&".join(pair for pair in parts.query.split("&") if not pair.startswith(f"{name}="))
                answer = requests.get(parts._replace(query=query).geturl(), allow_redirects=False, timeout=ANSWER_SECONDS_MAX)
                if name in SHOWN:
                    self.assertEqual(answer.status_code, 400)
                    self.assertNotIn("Location", answer.headers)
                    continue
                self.assertEqual(answer.status_code, 302)
                back = Left("GET", answer.headers["Location"], None)
                self.assertTrue(back.url.startswith(f"{self.server.callback}?"), back.url)
                self.assertEqual(back.parameters["error"], "invalid_scope" if name == "scope" else "invalid_request")
                self.assertEqual(back.parameters.get("state"), None if name == "state" else state)
                self.assertNotIn("code", back.parameters)


if __name__ == "__main__":
    unittest.main(verbosity=2)
