//! The operator's socket.

use super::Installation;
use crate::admin::actions::{Action, ErrorCode};
use crate::admin::socket::{SOCKET_NAME, send, serve};
use serde_json::{Value, json};
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

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_said_to_be_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SOCKET_NAME);
    let deep = format!("{{\"ok\":{}{}}}\n", "[".repeat(200), "]".repeat(200));
    for (answer, words) in [
        (
            deep.as_str(),
            "the server's answer cannot be read (Syntax at byte",
        ),
        (
            "{\"ok\"}\n",
            "the server's answer cannot be read (Syntax at byte",
        ),
        (
            "{\"fine\":1}\n",
            "the server's answer cannot be read (Data at byte",
        ),
        ("", "the server closed the connection"),
    ] {
        let _ = std::fs::remove_file(&path);
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The command is taken first: who closes with something unread resets the connection.
            let mut command = [0; 64];
            let length = stream.read(&mut command).await.unwrap();
            assert_eq!(command[length - 1], b'\n');
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (asked, ()) = tokio::join!(send(folder.path(), &Action::TenantList {}), serving);
        let error = asked.unwrap().unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(error.message.starts_with(words), "{error}");
    }
}

#[tokio::test]
async fn the_deepest_metadata_pass_through_every_command_and_deeper_ones_never_enter() {
    let installation = Installation::with_acme().await;
    let folder = installation.folder.path();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    let (shared, place) = (Arc::clone(&installation.shared), folder.to_owned());
    tasks.spawn(async move { serve(shared, &place, async { drop(stopped.await) }).await });
    while UnixStream::connect(folder.join(SOCKET_NAME)).await.is_err() {
        tokio::task::yield_now().await;
    }
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }));
    let act = async |action: Value| {
        let action: Action = serde_json::from_value(action).unwrap();
        send(folder, &action).await.unwrap()
    };
    let set = async |levels| {
        let set = json!({ "unsafe_metadata": nested(levels) });
        act(json!({ "action": "user_update", "tenant": "default", "user": "ada", "set": set }))
            .await
    };
    set(16).await.unwrap();
    let error = set(17).await.unwrap_err();
    assert!(
        error.message.contains("nested deeper than 16 levels"),
        "{error}"
    );
    let listed = act(json!({ "action": "user_list", "tenant": "default" }))
        .await
        .unwrap();
    assert_eq!(listed[0]["unsafe_metadata"], nested(16));
    drop(stop);
    tasks.join_next().await.unwrap().unwrap().unwrap();
}
