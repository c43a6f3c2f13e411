//! `vestibule demo`: from nothing to a signed-in person in one command.
//!
//! A throwaway folder, a tenant with people whose random passwords the demo site shows, that site on an origin of its own, and a
//! mock provider on another. When it ends nothing is left behind.

use super::{ServeError, Server, mock_provider, until_told};
use crate::config;
use crate::demo::{CALLBACK_PATH, CLIENT_NAME, DemoPerson, DemoSite, SCOPE, SIGNED_OUT_PATH};
use crate::http::context::{Clock as _, SystemClock, to_timestamp};
use crate::http::listener::{self, Limits};
use crate::http::peer::TrustedProxies;
use crate::jobs::Stop;
use crate::mock_provider::{
    MockProvider, MockSettings, installation_provider, people as mock_people,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use vestibule_core::id::Chance;
use vestibule_core::jose::algorithm::Algorithm;

/// Random bytes of a demo password.
const PASSWORD_BYTES: usize = 9;
/// Connections of the demo site at a time.
const CONNECTIONS_MAX: usize = 256;
/// How long the mock provider takes where it is meant to be slow: longer than anybody should wait for a provider.
const MOCK_SLOW: Duration = Duration::from_secs(40);

/// A folder that goes when the demo ends.
struct Throwaway(PathBuf);

impl Throwaway {
    fn make(name: &str) -> Result<Self, ServeError> {
        let path = std::env::temp_dir().join(format!("vestibule-demo-{name}"));
        super::make_folder(&path)
            .map_err(|error| ServeError::File(path.display().to_string(), error))?;
        Ok(Self(path))
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // A folder that cannot be removed is left to whoever cleans the system's temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the demo: the server on `listen`, the demo site on the next port that is free.
pub(crate) async fn demo(listen: SocketAddr, say: impl Fn(&str)) -> Result<(), ServeError> {
    let chance = crate::http::context::SystemChance::new();
    let folder = Throwaway::make(&random(&chance, 9))?;
    let listen = free_port(listen).await?;
    let site_listener =
        free_listener(SocketAddr::new(listen.ip(), listen.port().wrapping_add(1))).await?;
    let site_address = site_listener
        .local_addr()
        .map_err(|error| ServeError::Listen(listen, error))?;
    let mock_listener =
        free_listener(SocketAddr::new(listen.ip(), listen.port().wrapping_add(2))).await?;
    let mock_address = mock_listener
        .local_addr()
        .map_err(|error| ServeError::Listen(listen, error))?;
    let variables = [
        ("VESTIBULE_LISTEN", listen.to_string()),
        ("VESTIBULE_PUBLIC_URL", format!("http://{listen}")),
        ("VESTIBULE_DATA", folder.0.display().to_string()),
        ("VESTIBULE_LOG_LEVEL", "warn".to_owned()),
        // The one address inside that the demo's server may call: its own mock provider.
        ("VESTIBULE_OUTBOUND_ALLOW", mock_address.to_string()),
    ];
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let settings = config::resolve(None, variables, Path::new(&folder.0))
        .map_err(|error| ServeError::Other(error.to_string()))?;
    let server = Server::open(settings).await?;
    let mock = mock(mock_address, &server, &chance)?;
    let client_id = format!("footsteps-{}", random(&chance, 6));
    let people = people(&chance);
    // A provider over plain http is one on this machine: elsewhere the demo does without.
    let provider = mock_address
        .ip()
        .is_loopback()
        .then(|| installation_provider(&mock, "mock"));
    let mut installation = installation(&client_id, site_address.port(), &people);
    installation.push_str(provider.as_deref().unwrap_or_default());
    crate::admin::apply_text(server.shared(), &installation)
        .await
        .map_err(|error| ServeError::Other(error.to_string()))?;
    let issuer = server.shared().public_url.as_str().to_owned();
    let site = DemoSite {
        issuer: issuer.clone(),
        client_id,
        people,
        mock_provider: provider.map(|_| mock.issuer().to_owned()),
    };
    say(&format!(
        "A demo of Vestibule is running. Nothing of it is kept when you stop it (Ctrl-C).\n\n\
         Open this link:\n\n    http://{site_address}/\n\n\
         It is an app on a site of its own. The sign-in server that it uses is at {issuer}.\n\
         A mock provider, where you can be anybody, is at {}.",
        mock.issuer()
    ));
    let (sender, stop) = Stop::new();
    let site = serve_site(site_listener, site, stop.clone());
    let mock = mock_provider::serve(
        mock_listener,
        Arc::new(mock),
        || to_timestamp(SystemClock.millis()),
        |_, _| {},
        stop.clone(),
    );
    let (served, told, (), ()) = tokio::join!(server.serve(stop), until_told(sender), site, mock);
    served.and(told)
}

/// The provider that people of the demo can sign in with: whoever they say they are.
fn mock(
    address: SocketAddr,
    server: &Server,
    chance: &dyn Chance,
) -> Result<MockProvider, ServeError> {
    MockProvider::new(MockSettings {
        issuer: format!("http://{address}"),
        client_id: "vestibule-demo".to_owned(),
        client_secret: Some(random(chance, 18)),
        redirect_origins: vec![server.shared().public_url.origin()],
        people: mock_people(),
        auto: false,
        slow: MOCK_SLOW,
        algorithm: Algorithm::ES256,
        rotates_refresh_tokens: false,
    })
    .map_err(|error| ServeError::Other(error.to_string()))
}

fn random(chance: &dyn Chance, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    chance.fill(&mut buffer);
    URL_SAFE_NO_PAD.encode(buffer).replace(['-', '_'], "x")
}

/// The address itself, or any free port of it when something else is there already.
async fn free_port(wanted: SocketAddr) -> Result<SocketAddr, ServeError> {
    let listener = free_listener(wanted).await?;
    listener
        .local_addr()
        .map_err(|error| ServeError::Listen(wanted, error))
}

async fn free_listener(wanted: SocketAddr) -> Result<TcpListener, ServeError> {
    if let Ok(listener) = TcpListener::bind(wanted).await {
        Ok(listener)
    } else {
        let any = SocketAddr::new(wanted.ip(), 0);
        TcpListener::bind(any)
            .await
            .map_err(|error| ServeError::Listen(any, error))
    }
}

fn people(chance: &dyn Chance) -> Vec<DemoPerson> {
    [
        (
            "Ada Lovelace",
            "ada",
            "Has a verified address and is in the group admin.",
        ),
        (
            "Grace Hopper",
            "grace",
            "Sign in as her too, then try Choose account.",
        ),
    ]
    .map(|(name, username, note)| DemoPerson {
        name: name.to_owned(),
        username: username.to_owned(),
        password: random(chance, PASSWORD_BYTES),
        note: note.to_owned(),
    })
    .into()
}

fn installation(client_id: &str, port: u16, people: &[DemoPerson]) -> String {
    let list = |path: &str| {
        format!(
            "[\"http://{}:{port}{path}\", \"http://localhost:{port}{path}\"]",
            Ipv4Addr::LOCALHOST
        )
    };
    let mut text = format!(
        r#"
[[tenant]]
slug = "default"
name = "Vestibule demo"
groups = ["admin"]
[tenant.policy]
sign_up = "open"
[[tenant.client]]
client_id = "{client_id}"
client_name = "{CLIENT_NAME}"
client_uri = "http://{}:{port}/"
redirect_uris = {}
post_logout_redirect_uris = {}
token_endpoint_auth_method = "none"
grant_types = ["authorization_code", "refresh_token"]
scope = "{SCOPE}"
"#,
        Ipv4Addr::LOCALHOST,
        list(CALLBACK_PATH),
        list(SIGNED_OUT_PATH),
    );
    for (index, person) in people.iter().enumerate() {
        let DemoPerson {
            name,
            username,
            password,
            ..
        } = person;
        let groups = if index == 0 {
            "groups = [\"admin\"]\npublic_metadata = { plan = \"pro\" }\n"
        } else {
            ""
        };
        let _ = write!(
            text,
            "[[tenant.user]]\nusername = \"{username}\"\npassword = \"{password}\"\nemail = \"{username}@example.com\"\nemail_verified = true\nname = \"{name}\"\n{groups}"
        );
    }
    text
}

/// Serves the demo site until the signal.
async fn serve_site(listener: TcpListener, site: DemoSite, mut stop: Stop) {
    let site = Arc::new(site);
    let service = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.respond(request.method(), request.uri().path())) }
    });
    let second = Duration::from_secs(1);
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        connections_per_peer_max: u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX),
        proxies: TrustedProxies::default(),
        header_timeout: 10 * second,
        request_timeout: 30 * second,
        write_timeout: 20 * second,
        shutdown_grace: second,
    };
    listener::serve(
        listener,
        None,
        limits,
        service,
        async move { stop.wait().await },
    )
    .await;
}
