//! Seed 003: `/api/id/v1/auth/…`. The authorization endpoint under the strict rules; its siblings are the standard endpoints, and
//! the token endpoint takes JSON as well as a form.

use crate::http::context::Ctx;
use crate::http::reply::{Failure, Reply};
use crate::oauth::{authorize, token};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use vestibule_core::oauth::authorize::Dialect;

/// `GET /api/id/v1/auth/authorize`.
pub(crate) async fn begin(ctx: &Ctx) -> Result<Reply, Failure> {
    authorize::begin_in(ctx, Dialect::Strict).await
}

/// `POST /api/id/v1/auth/token`.
pub(crate) async fn exchange(ctx: Ctx) -> Result<Reply, Failure> {
    token::exchange(&with_form(ctx)).await
}

/// A JSON body of texts, written as the form that it stands for; a member that stands twice stands twice in the form too. Anything
/// else is left as it is, for the endpoint to refuse.
fn with_form(mut ctx: Ctx) -> Ctx {
    if !ctx.has_media_type("application/json") {
        return ctx;
    }
    let Ok(Members(members)) = serde_json::from_slice::<Members>(&ctx.body) else {
        return ctx;
    };
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(members)
        .finish();
    ctx.body = Bytes::from(form);
    ctx.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    ctx
}

/// The members of a JSON object whose values are texts, in order, repeated ones too.
struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Members;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Texts)
    }
}
