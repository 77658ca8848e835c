//! How commands reach a running node, and how its answers become exit codes.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use mainframe_sdk::{Client, EndpointFile, Error, ErrorCode};

use crate::cli::{Global, Up};
use crate::failure::{Exit, Failure};

/// A client of the node the flags speak of.
///
/// # Errors
/// If no node runs on the data directory, or `--api` comes without a token that could fit.
pub(crate) fn client(global: &Global) -> anyhow::Result<Client> {
    match (&global.api, &global.token) {
        (Some(api), Some(token)) => Ok(Client::connect(api.as_str(), token.as_str())),
        (Some(api), None) => {
            let file = data_dir(global).ok().and_then(|dir| EndpointFile::read(&dir).ok());
            match file.filter(|file| file.api == api.trim_end_matches('/')) {
                Some(file) => Ok(Client::connect(file.api, file.token)),
                None => bail!(
                    Failure::new(
                        Exit::Usage,
                        format!("no token for {api}: the node of --data-dir serves elsewhere or not at all")
                    )
                    .next("--token TOKEN, or --data-dir instead of --api")
                ),
            }
        }
        (None, token) => {
            let file = EndpointFile::read(&data_dir(global)?).map_err(failure)?;
            Ok(Client::connect(file.api, token.clone().unwrap_or(file.token)))
        }
    }
}

/// The node's directory, by all layers of its configuration.
fn data_dir(global: &Global) -> anyhow::Result<PathBuf> {
    Ok(crate::settings::load(global, &Up::default())?.data_dir().to_owned())
}

/// Whether a node that lives says that it runs on the data directory; never for a node that is named by `--api`.
pub(crate) fn is_announced(global: &Global) -> bool {
    global.api.is_none() && data_dir(global).is_ok_and(|dir| EndpointFile::read(&dir).is_ok())
}

/// Waits for a node's answer, at most `--timeout`.
///
/// # Errors
/// The node's refusal, or that it took too long.
pub(crate) async fn answer<T>(global: &Global, asked: impl Future<Output = Result<T, Error>>) -> anyhow::Result<T> {
    match tokio::time::timeout(Duration::from_secs_f64(global.timeout), asked).await {
        Ok(answer) => Ok(answer.map_err(failure)?),
        Err(_) => bail!(
            Failure::new(Exit::TimedOut, format!("no answer within {} s", global.timeout)).next("a longer --timeout")
        ),
    }
}

/// A failed call, with the exit code it deserves.
pub(crate) fn failure(error: Error) -> Failure {
    match error {
        Error::Api(error) => Failure::new(exit(error.code), format!("{}: {}", error.what, error.why)).next(error.next),
        Error::NotRunning { what, why, next } => Failure::new(Exit::NotRunning, format!("{what}: {why}")).next(next),
        Error::Transport { url, why } => {
            Failure::new(Exit::NotRunning, format!("cannot reach the node at {url}: {why}"))
                .next("check that it is running (mainframe up) and that the address is right")
        }
        Error::Protocol { .. } => Failure::new(Exit::Failed, error.to_string()),
    }
}

fn exit(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::BadRequest | ErrorCode::TooLarge | ErrorCode::TooLong | ErrorCode::MethodNotAllowed => Exit::Usage,
        ErrorCode::Unauthenticated | ErrorCode::Forbidden | ErrorCode::WrongHost | ErrorCode::AgainstTerms => {
            Exit::Denied
        }
        ErrorCode::NotFound => Exit::NotFound,
        ErrorCode::TimedOut => Exit::TimedOut,
        ErrorCode::Busy
        | ErrorCode::NotConnected
        | ErrorCode::NoProgress
        | ErrorCode::OverBudget
        | ErrorCode::TooManyKeys
        | ErrorCode::TooManyContacts
        | ErrorCode::TooManyRegions
        | ErrorCode::StoreFailed
        | ErrorCode::Stopping => Exit::Refused,
        ErrorCode::Conflict | ErrorCode::Expired | ErrorCode::Internal | ErrorCode::Unknown => Exit::Failed,
    }
}
