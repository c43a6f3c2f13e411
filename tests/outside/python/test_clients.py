"""Authlib, unchanged, against the server: each kind of client walks from discovery to sign-out."""

import os
import unittest

# The library refuses plain http otherwise; the server under test is on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from support import ANSWER_SECONDS_MAX, Browser, Forms, Left, Server

ALL_SCOPES = "openid profile email offline_access reports.read public_metadata private_metadata"


class Walk(unittest.TestCase):
    """From discovery to sign-out."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)

    def connect(self, tenant, client_id, scope=None, **options):
        """The server's own description, and a session of the library for one client."""
        facts = self.server.tenants[tenant]
        client = facts["clients"][client_id]
        url = f"{facts['issuer']}/.well-known/openid-configuration"
        about = requests.get(url, timeout=ANSWER_SECONDS_MAX).json()
        self.assertEqual(about["issuer"], facts["issuer"])
        session = OAuth2Session(
            client_id,
            client.get("client_secret"),
            token_endpoint_auth_method=client["token_endpoint_auth_method"],
            revocation_endpoint_auth_method=client["token_endpoint_auth_method"],
            scope=scope,
            redirect_uri=self.server.callback,
            code_challenge_method="S256",
            default_timeout=ANSWER_SECONDS_MAX,
            **options,
        )
        self.addCleanup(session.close)
        return about, session, facts["user"]

    def sign_in(self, browser, about, session, user, **parameters):
        """One authorization request answered, its code redeemed, its ID token verified."""
        verifier = generate_token(64)
        nonce = generate_token(24)
        url, state = session.create_authorization_url(
            about["authorization_endpoint"], code_verifier=verifier, nonce=nonce, **parameters
        )
        left = browser.authorize(url, user["username"], user["password"])
        self.assertTrue(left.url.startswith(self.server.callback), left.url)
        self.assertEqual(left.parameters["iss"], about["issuer"])
        self.assertEqual(left.parameters["state"], state)
        token = session.fetch_token(about["token_endpoint"], code=left.parameters["code"], code_verifier=verifier)
        claims = self.verify(about, token["id_token"], session.client_id, nonce)
        return token, claims

    def verify(self, about, id_token, audience, nonce):
        """The claims of an ID token whose signature and claims hold."""
        keys = requests.get(about["jwks_uri"], timeout=ANSWER_SECONDS_MAX).json()
        signed = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=["RS256"])
        self.assertEqual(signed.header["alg"], "RS256")
        self.assertIn("kid", signed.header)
        registry = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": about["issuer"]},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate(signed.claims)
        return signed.claims

    def user_info(self, about, token):
        return requests.get(
            about["userinfo_endpoint"],
            headers={"Authorization": f"Bearer {token['access_token']}"},
            timeout=ANSWER_SECONDS_MAX,
        )

    def walk(self, tenant, client_id, scope):
        about, session, user = self.connect(tenant, client_id, scope)
        confidential = session.client_secret is not None
        browser = Browser(self.server)
        token, claims = self.sign_in(browser, about, session, user)
        id_token = token["id_token"]

        person = session.get(about["userinfo_endpoint"]).json()
        self.assertEqual(person["sub"], claims["sub"])
        self.assertEqual(person["name"], user["name"])
        self.assertEqual(person["email"], user["email"])

        refreshed = session.refresh_token(about["token_endpoint"], refresh_token=token["refresh_token"])
        self.assertNotEqual(refreshed["access_token"], token["access_token"])
        self.assertEqual(self.user_info(about, refreshed).status_code, 200)
        refresh_token = refreshed.get("refresh_token") or token["refresh_token"]

        if confidential:
            self.assertTrue(self.introspect(about, session, refreshed["access_token"])["active"])
        self.revoke(about, session, refreshed["access_token"], "access_token")
        if confidential:
            self.assertEqual(self.introspect(about, session, refreshed["access_token"]), {"active": False})
        self.assertEqual(self.user_info(about, refreshed).status_code, 401)

        self.revoke(about, session, refresh_token, "refresh_token")
        with self.assertRaises(OAuthError) as refusal:
            session.refresh_token(about["token_endpoint"], refresh_token=refresh_token)
        self.assertEqual(refusal.exception.error, "invalid_grant")

        self.sign_out(browser, about, id_token)

    def introspect(self, about, session, token):
        answer = session.introspect_token(about["introspection_endpoint"], token=token)
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer.json()

    def revoke(self, about, session, token, hint):
        answer = session.revoke_token(about["revocation_endpoint"], token=token, token_type_hint=hint)
        self.assertEqual(answer.status_code, 200, answer.text)

    def sign_out(self, browser, about, id_token):
        bye = self.server.callback.replace("/callback", "/bye")
        state = generate_token(16)
        query = {"id_token_hint": id_token, "post_logout_redirect_uri": bye, "state": state}
        url = requests.Request("GET", about["end_session_endpoint"], params=query).prepare().url
        with self.assertRaises(Left) as left:
            page = browser.visit(url)
            form = next(form for form in Forms(page.text, page.url).all if "logout-confirm" in form.buttons)
            browser.submit(page, form, None, "logout-confirm")
        self.assertTrue(left.exception.url.startswith(bye), left.exception.url)
        self.assertEqual(left.exception.parameters, {"state": state})

    def test_secret_in_the_header(self):
        self.walk("default", "web-basic", ALL_SCOPES)

    def test_secret_in_the_body(self):
        self.walk("default", "web-post", ALL_SCOPES)

    def test_no_secret(self):
        self.walk("default", "browser-app", "openid profile email offline_access reports.read")

    def test_another_tenant(self):
        self.walk("globex", "web-basic", ALL_SCOPES)

    def test_answer_as_a_posted_form(self):
        about, session, user = self.connect("default", "web-basic", "openid profile")
        token, claims = self.sign_in(Browser(self.server), about, session, user, response_mode="form_post")
        self.assertEqual(session.get(about["userinfo_endpoint"]).json()["sub"], claims["sub"])

    def test_a_machine_gets_a_token_for_itself(self):
        for client_id in ("web-basic", "web-post"):
            with self.subTest(client_id):
                about, session, _ = self.connect("default", client_id, "reports.read")
                token = session.fetch_token(about["token_endpoint"], grant_type="client_credentials")
                self.assertNotIn("refresh_token", token)
                known = self.introspect(about, session, token["access_token"])
                self.assertTrue(known["active"])
                self.assertEqual(known["scope"], "reports.read")


if __name__ == "__main__":
    unittest.main(verbosity=2)
