//! How a command reaches the records: through the running server, or by opening them.

use crate::admin::actions::{Action, ActionError, perform as perform_here};
use crate::admin::socket;
use crate::config::Settings;
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// After how long a person is told that it takes a while, and how often again.
const PROGRESS: Duration = Duration::from_secs(1);

/// Performs an action, and says how long it takes when somebody watches.
pub(super) async fn perform(settings: &Settings, action: Action) -> Result<Value, ActionError> {
    if !std::io::stderr().is_terminal() {
        return Box::pin(reach(settings, action)).await;
    }
    let mut work = Box::pin(reach(settings, action));
    let mut seconds = 0_u32;
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            () = tokio::time::sleep(PROGRESS) => {
                seconds = seconds.saturating_add(1);
                let _ = write!(std::io::stderr(), "\rworking, {seconds} s …");
            }
        }
    };
    if seconds > 0 {
        // Clears the line.
        let _ = write!(std::io::stderr(), "\r\u{1b}[K");
    }
    result
}

async fn reach(settings: &Settings, action: Action) -> Result<Value, ActionError> {
    if let Some(answer) = socket::send(&settings.data, &action).await {
        return answer;
    }
    // Only a file brings an installation into being; a command in the wrong folder must not.
    if settings.database.is_none()
        && !matches!(action, Action::Apply { .. })
        && !settings.data.join("vestibule.db").exists()
    {
        return Err(ActionError::unavailable(format!(
            "there is no installation in {}; name its folder with --data, or start one with `vestibule serve`",
            settings.data.display()
        )));
    }
    let opened = crate::serve::open_shared(settings).await;
    let shared = opened.map_err(|error| ActionError::unavailable(error.to_string()))?;
    let result = perform_here(&shared, action).await;
    shared.store.db().close().await;
    result
}
