//! The installation that tests start from.

/// The public URL.
pub(crate) const BASE: &str = "http://127.0.0.1:8080";
/// The tenant id of the default tenant.
pub(crate) const TENANT_ID: &str = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01";
/// The secret of every confidential client.
pub(crate) const SECRET: &str = "Xq2-odd+chars/are=fine%20here";
/// The password of every person.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Two tenants with one client of each kind.
pub(crate) const INSTALLATION: &str = r#"
[[tenant]]
slug = "default"
id = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01"
name = "Acme"
groups = ["admin", "beta"]
[tenant.policy]
sign_up = "open"
session_lifetime = "14d"
session_idle = "3d"
[tenant.docs_profile]
expires_in = "2h"
[tenant.docs_profile.content]
firstName = "given_name"
lastName = "family_name"
email = "email"
plan = "public_metadata.plan"
[tenant.docs_profile.playground.header]
X-Api-Key = "private_metadata.crm_id"
[tenant.endpoint_aliases]
authorization = "/authorization"
token = "/exchange"
userinfo = "/me"
revocation = "/drop"
introspection = "/look/in"
logout = "/bye"
docs_user_info = "/user-info"

[[tenant.domain]]
host = "login.acme.test"
kind = "alias"
[[tenant.domain]]
host = "app2.acme.test"
kind = "satellite"

[[tenant.scope]]
name = "reports.read"
description = "Read your reports"
[[tenant.scope]]
name = "beep"
description = "Make a sound"
consent = "implied"

[[tenant.client]]
client_id = "web"
client_secret = "Xq2-odd+chars/are=fine%20here"
client_name = "Acme Web"
client_uri = "https://web.acme.test/"
redirect_uris = ["https://web.acme.test/cb"]
post_logout_redirect_uris = ["https://web.acme.test/bye"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
scope = "openid profile email address phone offline_access reports.read beep public_metadata private_metadata docs-user-info"
default_scope = "profile email"
resources = ["https://api.acme.test/", "https://other.acme.test/"]

[[tenant.client]]
client_id = "web-post"
client_secret = "Xq2-odd+chars/are=fine%20here"
redirect_uris = ["https://post.acme.test/cb", "https://post.acme.test/cb2"]
token_endpoint_auth_method = "client_secret_post"
grant_types = ["authorization_code", "refresh_token"]
scope = "openid profile email"
id_token_signed_response_alg = "EdDSA"
[tenant.client.policy]
refresh_token_rotation = "on_use"

[[tenant.client]]
client_id = "spa"
client_name = "Acme Single Page"
redirect_uris = ["https://spa.acme.test/cb"]
post_logout_redirect_uris = ["https://spa.acme.test/bye"]
token_endpoint_auth_method = "none"
grant_types = ["authorization_code", "refresh_token"]
scope = "openid profile email offline_access"
id_token_signed_response_alg = "ES256"

[[tenant.client]]
client_id = "native"
client_name = "Acme Native"
redirect_uris = ["http://127.0.0.1/cb", "com.acme.app:/cb"]
token_endpoint_auth_method = "none"
grant_types = ["authorization_code", "refresh_token"]
scope = "openid profile offline_access"

[[tenant.client]]
client_id = "relaxed"
client_secret = "Xq2-odd+chars/are=fine%20here"
redirect_uris = ["https://relaxed.acme.test/cb"]
scope = "openid email"
[tenant.client.policy]
pkce = "public_clients"

[[tenant.client]]
client_id = "opaque"
client_secret = "Xq2-odd+chars/are=fine%20here"
redirect_uris = ["https://opaque.acme.test/cb"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
scope = "openid email reports.read"
userinfo_signed_response_alg = "RS256"
[tenant.client.policy]
access_token_format = "opaque"

[[tenant.client]]
client_id = "first-party"
client_secret = "Xq2-odd+chars/are=fine%20here"
redirect_uris = ["https://first.acme.test/cb"]
scope = "openid profile email"
[tenant.client.policy]
consent = "never"
access_token_signing_alg = "RS256"

[[tenant.client]]
client_id = "field"
client_name = "Acme Field"
redirect_uris = ["https://field.acme.test/cb"]
token_endpoint_auth_method = "none"
scope = "profile email reports.read"
profile = "strict"

[[tenant.client]]
client_id = "docs"
client_name = "Acme Docs"
redirect_uris = ["https://docs.acme.test/oauth-callback"]
post_logout_redirect_uris = ["https://docs.acme.test/"]
allowed_origins = ["https://preview.docs.acme.test"]
token_endpoint_auth_method = "none"
scope = "docs-user-info"

[[tenant.client]]
client_id = "docs-opaque"
client_name = "Acme Reference"
redirect_uris = ["https://reference.acme.test/cb"]
token_endpoint_auth_method = "none"
scope = "openid email docs-user-info"
[tenant.client.policy]
access_token_format = "opaque"
popups = true

[[tenant.client]]
client_id = "docs-told"
redirect_uris = ["https://told.acme.test/cb"]
token_endpoint_auth_method = "none"
scope = "openid profile docs-user-info"
default_scope = "openid"

[[tenant.client]]
client_id = "machine"
client_secret = "Xq2-odd+chars/are=fine%20here"
grant_types = ["client_credentials"]
scope = "reports.read"

[[tenant.client]]
client_id = "gateway"
client_secret = "Xq2-odd+chars/are=fine%20here"
grant_types = ["client_credentials"]
scope = "reports.read"
resources = ["https://api.acme.test/"]

[[tenant.client]]
client_id = "auditor"
client_secret = "Xq2-odd+chars/are=fine%20here"
grant_types = ["client_credentials"]
scope = "reports.read"
[tenant.client.policy]
introspection = "tenant"

[[tenant.user]]
username = "ada"
password = "correct horse battery staple"
email = "ada@acme.test"
email_verified = true
name = "Ada Lovelace"
given_name = "Ada"
family_name = "Lovelace"
picture = "https://web.acme.test/ada.png"
locale = "en"
phone_number = "+44 20 7946 0000"
groups = ["admin"]
public_metadata = { plan = "pro" }
private_metadata = { crm_id = "42" }
unsafe_metadata = { theme = "dark" }
[tenant.user.address]
country = "GB"

[[tenant.user]]
username = "bob"
password = "correct horse battery staple"
email = "bob@acme.test"
name = "Bob"

[[tenant.user]]
username = "carol"
password = "correct horse battery staple"
email = "carol@acme.test"
disabled = true

[[tenant]]
slug = "globex"
name = "Globex"
[tenant.policy]
docs_scope = "reader.profile"
[[tenant.client]]
client_id = "docs"
redirect_uris = ["https://docs.globex.test/cb"]
token_endpoint_auth_method = "none"
scope = "openid reader.profile"
[[tenant.client]]
client_id = "web"
client_secret = "another-secret-of-globex-0123456789"
client_name = "Globex Web"
redirect_uris = ["https://web.globex.test/cb"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
scope = "openid profile email"
[[tenant.user]]
username = "ada"
password = "correct horse battery staple"
email = "ada@globex.test"
name = "Ada of Globex"
"#;
