//! The operator's socket.

use super::Installation;
use crate::admin::actions::{Action, ErrorCode};
use crate::admin::socket::{SOCKET_NAME, send, serve};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_command_reaches_the_running_server_and_nobody_when_none_runs() {
    let installation = Installation::with_acme().await;
    let folder = installation.folder.path();
    let path = folder.join(SOCKET_NAME);
    assert!(send(folder, &Action::TenantList {}).await.is_none());
    // What a server that was killed leaves behind.
    drop(tokio::net::UnixListener::bind(&path).unwrap());
    assert!(send(folder, &Action::TenantList {}).await.is_none());

    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    let (shared, place) = (Arc::clone(&installation.shared), folder.to_owned());
    tasks.spawn(async move { serve(shared, &place, async { drop(stopped.await) }).await });
    while UnixStream::connect(&path).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let listed = send(folder, &Action::TenantList {}).await.unwrap().unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let error = send(
        folder,
        &Action::TenantShow {
            tenant: "nope".to_owned(),
        },
    )
    .await
    .unwrap()
    .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);

    let mut stranger = UnixStream::connect(&path).await.unwrap();
    stranger.write_all(b"{\"action\":\"fly\"}\n").await.unwrap();
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("{\"error\":{\"code\":\"usage\""),
        "{answer}"
    );

    let second = serve(
        Arc::clone(&installation.shared),
        folder,
        std::future::pending(),
    )
    .await;
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(stop);
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert!(!path.exists());
}
