//! The operator's socket: how a command on the same machine reaches the running server.
//!
//! The socket lies in the data folder, is open to its owner alone, and asks the kernel who is at the other end. One line of JSON
//! comes in, an [`Action`]; one line goes out, its [`Answer`].

use super::actions::{Action, ActionError, perform};
use crate::http::context::Shared;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::Permissions;
use std::future::Future;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// The socket's name in the data folder.
pub(crate) const SOCKET_NAME: &str = "vestibule.sock";
/// The longest line in either direction, in bytes: an installation file with its quotes escaped.
pub(crate) const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The longest answer that a command reads, in bytes: a list of everybody.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How long somebody may take to say what they want.
const LINE_TIMEOUT: Duration = Duration::from_secs(10);
/// Actions at a time.
const CONNECTIONS_MAX: usize = 8;

/// What the server says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It was done.
    Ok(Value),
    /// It was not.
    Error(ActionError),
}

/// Listens until `shutdown`, then lets the actions that run finish.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    folder: &Path,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let path = folder.join(SOCKET_NAME);
    let (listener, owner) = bind(&path).await?;
    let mut shutdown = pin!(shutdown);
    let mut running = JoinSet::new();
    let result = loop {
        while running.len() >= CONNECTIONS_MAX {
            running.join_next().await;
        }
        tokio::select! {
            () = &mut shutdown => break Ok(()),
            Some(_) = running.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&shared);
                    running.spawn(async move {
                        if let Err(error) = converse(&shared, stream, owner).await {
                            tracing::warn!(%error, "a command on the operator's socket was not answered");
                        }
                    });
                }
                Err(error) => break Err(error),
            },
        }
    };
    drop(listener);
    // A file that is gone already is as good as removed.
    let _ = std::fs::remove_file(&path);
    while running.join_next().await.is_some() {}
    result
}

/// Binds the socket and says whose it is. A file that nobody listens behind is replaced.
async fn bind(path: &Path) -> io::Result<(UnixListener, u32)> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("another server listens on {}", path.display()),
        ));
    }
    // It gets its name only once it is closed to others.
    let unnamed = path.with_extension("sock.new");
    let _ = std::fs::remove_file(&unnamed);
    let listener = UnixListener::bind(&unnamed).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("the operator's socket {}: {error}", path.display()),
        )
    })?;
    std::fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
    let owner = std::fs::metadata(&unnamed)?.uid();
    std::fs::rename(&unnamed, path)?;
    Ok((listener, owner))
}

async fn converse(shared: &Arc<Shared>, stream: UnixStream, owner: u32) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != owner {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("user {peer} is not the server's user {owner}"),
        ));
    }
    let (reading, mut writing) = stream.into_split();
    let line = tokio::time::timeout(LINE_TIMEOUT, read_line(reading, LINE_BYTES_MAX)).await??;
    if line.is_empty() {
        // Somebody looked whether a server is there.
        return Ok(());
    }
    let answer = match serde_json::from_str::<Action>(&line) {
        Ok(action) => match perform(shared, action).await {
            Ok(value) => Answer::Ok(value),
            Err(error) => Answer::Error(error),
        },
        Err(error) => {
            // The text may hold secrets, and so may the words of the error: only where it stopped is said.
            tracing::warn!(
                kind = ?error.classify(),
                column = error.column(),
                bytes = line.len(),
                "a command on the operator's socket cannot be read"
            );
            Answer::Error(ActionError::usage(format!(
                "the server does not understand this command ({error}); is it another version?"
            )))
        }
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    writing.write_all(&text).await?;
    writing.shutdown().await
}

async fn read_line(
    reading: impl tokio::io::AsyncRead + Unpin,
    bytes_max: u64,
) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(reading.take(bytes_max))
        .read_line(&mut line)
        .await?;
    if line.is_empty() || line.ends_with('\n') {
        Ok(line)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a line that is too long or has no end",
        ))
    }
}

/// Hands an action to the server behind the socket of this folder. `None`: no server is there.
pub(crate) async fn send(folder: &Path, action: &Action) -> Option<Result<Value, ActionError>> {
    let path = folder.join(SOCKET_NAME);
    match UnixStream::connect(&path).await {
        Ok(stream) => Some(exchange(stream, action).await),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            None
        }
        Err(error) => Some(Err(ActionError::unavailable(format!(
            "{}: {error}",
            path.display()
        )))),
    }
}

async fn exchange(stream: UnixStream, action: &Action) -> Result<Value, ActionError> {
    let lost =
        |error: io::Error| ActionError::unavailable(format!("the server did not answer: {error}"));
    let mut text =
        serde_json::to_vec(action).map_err(|error| ActionError::usage(error.to_string()))?;
    text.push(b'\n');
    if text.len() as u64 > LINE_BYTES_MAX {
        return Err(ActionError::usage(format!(
            "the command is larger than {LINE_BYTES_MAX} bytes"
        )));
    }
    let (reading, mut writing) = stream.into_split();
    writing.write_all(&text).await.map_err(lost)?;
    let line = read_line(reading, ANSWER_BYTES_MAX).await.map_err(lost)?;
    match serde_json::from_str(&line) {
        Ok(Answer::Ok(value)) => Ok(value),
        Ok(Answer::Error(error)) => Err(error),
        Err(_) if line.is_empty() => Err(ActionError::unavailable(
            "the server closed the connection; its log says why",
        )),
        Err(error) => {
            tracing::warn!(
                kind = ?error.classify(),
                column = error.column(),
                bytes = line.len(),
                "an answer on the operator's socket cannot be read"
            );
            Err(ActionError::unavailable(format!(
                "the server's answer cannot be read ({:?} at byte {} of {}); is it another version?",
                error.classify(),
                error.column(),
                line.len()
            )))
        }
    }
}
