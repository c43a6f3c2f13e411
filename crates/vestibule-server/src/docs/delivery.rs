//! Giving out bytes over HTTP: content codings, conditional requests, ranges, and who may keep a copy.
//!
//! The law: what is personal is kept by nobody, has no entity tag and is not compressed (a length that depends on secrets and on what
//! an attacker adds tells the secrets).

use super::host::{NO_STORE, SiteCtx};
use super::media;
use crate::http::reply::{BodyError, Reply, ReplyBody};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::OnceCell;

/// Below this, compressing gains nothing, in bytes.
const COMPRESSED_BYTES_MIN: usize = 1024;
/// How hard brotli tries, of 11: what one more costs more than it saves.
const BROTLI_QUALITY: i32 = 5;
/// The window of brotli, as a power of two.
const BROTLI_WINDOW: i32 = 22;
/// How hard gzip tries, of 9.
const GZIP_LEVEL: u32 = 6;
/// How much of a file is read at a time, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of the digest in an entity tag.
const TAG_BYTES: usize = 12;

/// Bytes, and what they are compressed.
pub(super) struct Encodings {
    bytes: Bytes,
    tag: String,
    /// Those that somebody else made.
    made: Vec<(&'static str, Bytes)>,
    brotli: OnceCell<Option<Bytes>>,
    gzip: OnceCell<Option<Bytes>>,
}

impl Encodings {
    pub(super) fn new(bytes: Bytes) -> Self {
        let digest = digest::digest(&digest::SHA256, &bytes);
        let tag = URL_SAFE_NO_PAD.encode(digest.as_ref().get(..TAG_BYTES).unwrap_or_default());
        Self {
            bytes,
            tag,
            made: Vec::new(),
            brotli: OnceCell::new(),
            gzip: OnceCell::new(),
        }
    }

    /// Adds what was compressed beforehand.
    pub(super) fn add(&mut self, coding: &'static str, bytes: Bytes) {
        self.made.push((coding, bytes));
    }

    /// The bytes as they are.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The coding that a request likes best, of those that make it smaller.
    async fn choose(&self, ctx: &SiteCtx, media_type: &str) -> Option<(&'static str, Bytes)> {
        let made = |coding: &'static str| {
            let (_, bytes) = self.made.iter().find(|(known, _)| *known == coding)?;
            Some((coding, bytes.clone()))
        };
        let wants = |coding: &str| accepts(ctx, coding);
        if let Some(made) = ["br", "zstd", "gzip"]
            .into_iter()
            .filter(|coding| wants(coding))
            .find_map(made)
        {
            return Some(made);
        }
        if self.bytes.len() < COMPRESSED_BYTES_MIN || !media::is_compressible(media_type) {
            return None;
        }
        let (coding, cell, compress): (_, _, Compress) = if wants("br") {
            ("br", &self.brotli, brotli)
        } else if wants("gzip") {
            ("gzip", &self.gzip, gzip)
        } else {
            return None;
        };
        let bytes = self.bytes.clone();
        let made = cell
            .get_or_init(|| async move {
                let length = bytes.len();
                let work = tokio::task::spawn_blocking(move || compress(&bytes));
                let made = work.await.ok()?.ok()?;
                (made.len() < length).then(|| made.into())
            })
            .await;
        made.clone().map(|bytes| (coding, bytes))
    }
}

type Compress = fn(&[u8]) -> io::Result<Vec<u8>>;

fn brotli(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let mut writer = brotli::CompressorWriter::with_params(Vec::new(), 4096, &params);
    writer.write_all(bytes)?;
    Ok(writer.into_inner())
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let level = flate2::Compression::new(GZIP_LEVEL);
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
    writer.write_all(bytes)?;
    writer.finish()
}

/// Whether a request takes a coding (RFC 9110, 12.5.3). A `*` is not taken for one: nobody who writes it means brotli.
fn accepts(ctx: &SiteCtx, coding: &str) -> bool {
    ctx.headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
            name.trim().eq_ignore_ascii_case(coding)
                && weight
                    .trim()
                    .parse::<f32>()
                    .is_ok_and(|weight| weight > 0.0)
        })
}

/// Who may keep a copy, for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caching {
    /// Everybody, for some minutes.
    Public,
    /// Everybody, for ever: the name changes with the content.
    Immutable,
    /// The reader's own browser, asking each time.
    Private,
    /// A page as it is for whoever has not signed in: everybody, asking each time.
    Page,
}

impl Caching {
    pub(super) fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        let (control, vary) = match self {
            Self::Public => ("public, max-age=300", "accept-encoding"),
            Self::Immutable => ("public, max-age=31536000, immutable", "accept-encoding"),
            Self::Private => ("private, no-cache", "cookie, accept-encoding"),
            Self::Page => ("no-cache", "cookie, accept-encoding"),
        };
        [
            (header::CACHE_CONTROL, HeaderValue::from_static(control)),
            (header::VARY, HeaderValue::from_static(vary)),
        ]
    }
}

/// How something is given out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Giving<'a> {
    pub(super) media_type: &'a str,
    pub(super) caching: Caching,
    /// When it last changed, where that can be told.
    pub(super) modified: Option<SystemTime>,
    /// Whether parts of it may be asked for.
    pub(super) has_ranges: bool,
}

/// Gives out bytes.
pub(super) async fn give(ctx: &SiteCtx, encodings: &Encodings, giving: &Giving<'_>) -> Reply {
    let wants_part = giving.has_ranges && ctx.headers.contains_key(header::RANGE);
    let chosen = if wants_part {
        None
    } else {
        encodings.choose(ctx, giving.media_type).await
    };
    let (coding, bytes) = match chosen {
        Some((coding, bytes)) => (Some(coding), bytes),
        None => (None, encodings.bytes.clone()),
    };
    let tag = match coding {
        Some(coding) => format!("\"{}-{coding}\"", encodings.tag),
        None => format!("\"{}\"", encodings.tag),
    };
    let mut reply = answer(ctx, giving, &tag, length_of(&bytes), |from, to| {
        let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
        (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to).into())
    });
    if let Some(coding) = coding
        && reply.status() == StatusCode::OK
    {
        reply
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    reply
}

/// Gives out a file without reading it whole.
pub(super) fn give_file(
    ctx: &SiteCtx,
    file: std::fs::File,
    length: u64,
    tag: &str,
    giving: &Giving<'_>,
) -> Reply {
    let mut file = Some(file);
    answer(ctx, giving, &format!("\"{tag}\""), length, |from, to| {
        FileBody::new(file.take()?, from, to).map(ReplyBody::stream)
    })
}

/// Gives out what is for this reader alone.
pub(super) fn give_personal(status: StatusCode, media_type: &str, body: ReplyBody) -> Reply {
    let mut reply = Reply::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::VARY, HeaderValue::from_static("cookie"));
    insert(headers, header::CONTENT_TYPE, media_type);
    reply
}

fn length_of(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn insert(headers: &mut http::HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The answer about something of this length, whose bytes from here to there `body` gives.
fn answer(
    ctx: &SiteCtx,
    giving: &Giving<'_>,
    tag: &str,
    length: u64,
    body: impl FnOnce(u64, u64) -> Option<ReplyBody>,
) -> Reply {
    let mut reply = Reply::new(ReplyBody::default());
    let headers = reply.headers_mut();
    headers.extend(giving.caching.headers());
    insert(headers, header::ETAG, tag);
    let modified = giving.modified.map(httpdate::fmt_http_date);
    if let Some(modified) = &modified {
        insert(headers, header::LAST_MODIFIED, modified);
    }
    if is_unchanged(ctx, tag, giving.modified) {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        return reply;
    }
    insert(headers, header::CONTENT_TYPE, giving.media_type);
    if giving.has_ranges {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    let part = if giving.has_ranges {
        part(ctx, tag, modified.as_deref(), length)
    } else {
        Part::Whole
    };
    let (status, from, to) = match part {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Of(from, to) => {
            insert(
                headers,
                header::CONTENT_RANGE,
                &format!("bytes {from}-{}/{length}", to - 1),
            );
            (StatusCode::PARTIAL_CONTENT, from, to)
        }
        Part::Beyond => {
            headers.remove(header::CONTENT_TYPE);
            insert(headers, header::CONTENT_RANGE, &format!("bytes */{length}"));
            *reply.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return reply;
        }
    };
    match body(from, to) {
        Some(body) => {
            *reply.status_mut() = status;
            *reply.body_mut() = body;
        }
        None => *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    reply
}

/// Whether the copy that the asker has is still right (RFC 9110, 13.2.2).
fn is_unchanged(ctx: &SiteCtx, tag: &str, modified: Option<SystemTime>) -> bool {
    if ctx.headers.contains_key(header::IF_NONE_MATCH) {
        return ctx
            .headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|known| known.trim().trim_start_matches("W/"))
            .any(|known| known == tag || known == "*");
    }
    let since = ctx
        .header(&header::IF_MODIFIED_SINCE)
        .and_then(|text| httpdate::parse_http_date(text).ok());
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

/// The part that is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From here, to before there.
    Of(u64, u64),
    /// One that there is nothing of.
    Beyond,
}

fn part(ctx: &SiteCtx, tag: &str, modified: Option<&str>, length: u64) -> Part {
    let (Some(range), true) = (ctx.header(&header::RANGE), ctx.method == Method::GET) else {
        return Part::Whole;
    };
    // A part of another version would not fit to what the asker has (RFC 9110, 13.1.5).
    let fits = ctx
        .header(&header::IF_RANGE)
        .is_none_or(|known| known == tag || Some(known) == modified);
    if fits
        && !(ctx.headers.contains_key(header::IF_RANGE) && ctx.header(&header::IF_RANGE).is_none())
    {
        read_range(range, length)
    } else {
        Part::Whole
    }
}

/// One range. Several, and what is no range, may be answered with everything (RFC 9110, 14.2).
fn read_range(text: &str, length: u64) -> Part {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .filter(|set| !set.contains(','))
        .and_then(|set| set.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), _) if first >= length && (last.is_empty() || number(last).is_some()) => {
            Part::Beyond
        }
        (Some(first), None) if last.is_empty() => Part::Of(first, length),
        (Some(first), Some(last)) if first <= last => {
            Part::Of(first, last.saturating_add(1).min(length))
        }
        (None, Some(0)) if first.is_empty() => Part::Beyond,
        (None, Some(_)) if first.is_empty() && length == 0 => Part::Beyond,
        (None, Some(count)) if first.is_empty() => Part::Of(length.saturating_sub(count), length),
        _ => Part::Whole,
    }
}

/// A file as it is read.
struct FileBody {
    file: tokio::fs::File,
    left: u64,
    buffer: Vec<u8>,
}

impl FileBody {
    fn new(mut file: std::fs::File, from: u64, to: u64) -> Option<Self> {
        use std::io::Seek as _;
        file.seek(io::SeekFrom::Start(from)).ok()?;
        Some(Self {
            file: tokio::fs::File::from_std(file),
            left: to.checked_sub(from)?,
            buffer: Vec::new(),
        })
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(this.left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        this.buffer.resize(wanted, 0);
        let mut buffer = ReadBuf::new(&mut this.buffer);
        match ready!(Pin::new(&mut this.file).poll_read(context, &mut buffer)) {
            Ok(()) if buffer.filled().is_empty() => {
                this.left = 0;
                Poll::Ready(Some(Err("the file became shorter".into())))
            }
            Ok(()) => {
                let bytes = Bytes::copy_from_slice(buffer.filled());
                this.left = this.left.saturating_sub(length_of(&bytes));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                this.left = 0;
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Keeps an [`Encodings`] where several hold it.
pub(super) fn kept(bytes: Vec<u8>) -> Arc<Encodings> {
    Arc::new(Encodings::new(bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_and_everything_else_is_answered_whole() {
        #[rustfmt::skip]
        let table = [
            ("bytes=0-0",      Part::Of(0, 1)),
            ("bytes=2-4",      Part::Of(2, 5)),
            ("bytes=2-",       Part::Of(2, 10)),
            ("bytes=-3",       Part::Of(7, 10)),
            ("bytes=-99",      Part::Of(0, 10)),
            ("bytes=2-99",     Part::Of(2, 10)),
            ("bytes=9-99999999999999999999999", Part::Of(9, 10)),
            ("bytes=10-",      Part::Beyond),
            ("bytes=10-12",    Part::Beyond),
            ("bytes=-0",       Part::Beyond),
            ("bytes=4-2",      Part::Whole),
            ("bytes=0-1,3-4",  Part::Whole),
            ("bytes=a-b",      Part::Whole),
            ("bytes=--1",      Part::Whole),
            ("bytes=+1-2",     Part::Whole),
            ("bytes=",         Part::Whole),
            ("items=0-1",      Part::Whole),
            ("bytes=99-x",     Part::Whole),
        ];
        for (text, part) in table {
            assert_eq!(read_range(text, 10), part, "{text}");
        }
        assert_eq!(read_range("bytes=-1", 0), Part::Beyond);
    }

    #[test]
    fn what_is_compressed_comes_out_again() {
        use std::io::Read as _;
        let text = "hello docs ".repeat(500);
        let mut out = String::new();
        let packed = gzip(text.as_bytes()).unwrap();
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_string(&mut out)
            .unwrap();
        assert_eq!(out, text);
        let packed = brotli(text.as_bytes()).unwrap();
        assert!(packed.len() < 100);
        out.clear();
        brotli::Decompressor::new(packed.as_slice(), 4096)
            .read_to_string(&mut out)
            .unwrap();
        assert_eq!(out, text);
    }
}
