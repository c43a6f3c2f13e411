//! The client behind a request to the token, introspection and revocation endpoints.

use crate::http::context::Ctx;
use crate::http::cors;
use crate::http::peer::Network;
use crate::http::reply::{self, Failure, Reply};
use http::StatusCode;
use http::header::{self, HeaderValue};
use vestibule_core::oauth::client_auth::{AuthenticatedClient, Credentials, authenticate};
use vestibule_core::oauth::error::{ErrorCode, OAuthError};
use vestibule_core::oauth::params::Params;

/// Reads the form of a request; every carrier but the body is ignored, and secrets in the address are refused (OAuth 2.1, 2.4.1).
pub(super) fn form(ctx: &Ctx) -> Result<Params, OAuthError> {
    let refuse = |description: &str| OAuthError::quoting(ErrorCode::InvalidRequest, description);
    if let Ok(query) = ctx.query_params() {
        for name in [
            "client_secret",
            "code",
            "refresh_token",
            "token",
            "code_verifier",
            "access_token",
        ] {
            if query.get(name).is_some() || query.is_repeated(name) {
                return Err(refuse(&format!(
                    "send {name} in the body, never in the address"
                )));
            }
        }
    }
    ctx.form().map_err(|error| refuse(&error.to_string()))
}

/// Authenticates the client of a request; failures are counted by client and network (OAuth 2.1, 2.4.1).
pub(super) async fn authenticated(
    ctx: &Ctx,
    params: &Params,
) -> Result<Result<AuthenticatedClient, Reply>, Failure> {
    let mut headers = ctx.headers.get_all(header::AUTHORIZATION).iter();
    let header = match (headers.next(), headers.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().unwrap_or_default()),
        (Some(_), Some(_)) => {
            let error = OAuthError::new(
                ErrorCode::InvalidRequest,
                "the Authorization header may stand once",
            );
            return Ok(Err(refuse(ctx, &error)));
        }
    };
    let credentials = match Credentials::parse(header, params) {
        Ok(credentials) => credentials,
        Err(error) => return Ok(Err(refuse(ctx, &error))),
    };
    let (tenant, network) = (ctx.tenant.tenant.id, Network::of(ctx.address));
    let id = credentials.client_id();
    if let Err(wait) = ctx.shared.throttle.client_may_authenticate(
        tenant.bytes(),
        id.as_bytes(),
        network,
        ctx.now_millis,
    ) {
        let error = OAuthError::new(
            ErrorCode::InvalidClient,
            "too many failed tries of this client; wait and try again",
        );
        let mut reply = reply::refusal(
            ctx,
            StatusCode::TOO_MANY_REQUESTS,
            &error,
            "too_many_requests",
        );
        reply
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait.0));
        return Ok(Err(reply));
    }
    let client = ctx.tenant.client(&ctx.shared, id).await?;
    match authenticate(client.clone(), &credentials) {
        Ok(caller) => Ok(Ok(caller)),
        Err(error) => {
            ctx.shared.throttle.client_authentication_failed(
                tenant.bytes(),
                id.as_bytes(),
                network,
                ctx.now_millis,
            );
            let mut reply = refuse(ctx, &error);
            // A browser app of the client that it claims to be should read why it failed.
            if let Some(client) = client {
                cors::allow_own_origin(ctx, &client, &mut reply);
            }
            Ok(Err(reply))
        }
    }
}

/// A refusal of these endpoints (OAuth 2.1, 3.2.4): 401 with a challenge when the client failed to prove itself, else 400.
pub(super) fn refuse(ctx: &Ctx, error: &OAuthError) -> Reply {
    let status = if error.code == ErrorCode::InvalidClient {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::BAD_REQUEST
    };
    let mut reply = reply::refusal(ctx, status, error, error.code.as_str());
    if status == StatusCode::UNAUTHORIZED {
        let challenge = format!(
            "Basic realm=\"{}\", charset=\"UTF-8\"",
            ctx.tenant.tenant.issuer.as_str()
        );
        if let Ok(value) = HeaderValue::from_str(&challenge) {
            reply.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
    }
    reply
}
