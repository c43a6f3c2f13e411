//! A site whose pages are files of a folder.

pub(super) mod folder;
pub(super) mod index;

use self::folder::{Content, FRESH_MILLIS, Folder, Found, Stored};
use super::delivery::{self, Caching, Encodings, Giving};
use super::host::{self, SiteCtx};
use super::media::{self, Kind};
use super::pages;
use super::reader::{self, Reader};
use super::view::{Pages, View};
use super::{listing, rewrite};
use crate::http::reply::{Failure, Reply, ReplyBody};
use crate::ui::words;
use http::StatusCode;
use std::io;
use std::sync::Arc;
use vestibule_core::docs::access::{Access, Opening, Visibility};
use vestibule_core::docs::path::SitePath;

/// The site's own page for what is not there.
const NOT_FOUND_PAGE: &str = "/404.html";
/// From this many bytes on, a page is rewritten on a thread for work that takes long.
const LONG_WORK_BYTES: usize = 256 * 1024;

/// Answers a request for a path of the folder.
pub(super) async fn serve(
    ctx: &SiteCtx,
    folder: &Folder,
    path: &SitePath,
) -> Result<Reply, Failure> {
    let found = match find(ctx, folder, path).await {
        Ok(found) => found,
        Err(error) => return Ok(no_folder(ctx, &error)),
    };
    let visibility = ctx.served.site.visibility;
    let (stored, is_moved) = match found {
        Found::Nothing => {
            let access = ctx.served.site.access_by_rules(&path.names());
            return refuse(ctx, folder, &access).await;
        }
        Found::File(stored) => (stored, false),
        Found::Folder(stored) => (stored, true),
    };
    // Who reads does not matter for a file that everybody gets as it is.
    let is_everybodys = stored.kind == Kind::Asset
        && stored.access.opening(visibility, None) == Opening::Open
        && !is_moved;
    let reader = if is_everybodys {
        None
    } else {
        reader::reader(ctx).await?
    };
    let user = reader.as_ref().map(|reader| &reader.user);
    match stored.access.opening(visibility, user) {
        Opening::Open => {}
        Opening::SignIn => return Ok(host::sign_in(ctx)),
        Opening::NotFound => {
            // What is not there costs a look at the disk, and so does what may not be known of.
            let _ = look(ctx, folder, path).await;
            return not_found(ctx, folder, reader).await;
        }
    }
    if is_moved {
        let mut to = path.encoded();
        to.push('/');
        return Ok(host::moved(ctx, StatusCode::MOVED_PERMANENTLY, &to));
    }
    if let Some(fault) = &stored.fault {
        tracing::warn!(
            reference = ctx.reference,
            site = ctx.served.site.name,
            file = stored.file,
            fault,
            "a page cannot be given out"
        );
        return Ok(pages::error(
            ctx,
            StatusCode::INTERNAL_SERVER_ERROR,
            &words::SERVER_FAILED,
        ));
    }
    give(ctx, folder, path, &stored, reader).await
}

/// The answer where there is nothing for somebody who may be signed in or not.
pub(super) async fn refuse(
    ctx: &SiteCtx,
    folder: &Folder,
    access: &Access,
) -> Result<Reply, Failure> {
    let reader = reader::reader(ctx).await?;
    let user = reader.as_ref().map(|reader| &reader.user);
    if access.opening(ctx.served.site.visibility, user) == Opening::SignIn {
        return Ok(host::sign_in(ctx));
    }
    not_found(ctx, folder, reader).await
}

/// What a path leads to, from memory if it was looked at within the last second.
async fn find(ctx: &SiteCtx, folder: &Folder, path: &SitePath) -> io::Result<Found> {
    match folder.recall(path, ctx.now_millis) {
        Some(stored) => Ok(Found::File(stored)),
        None => look(ctx, folder, path).await,
    }
}

async fn look(ctx: &SiteCtx, folder: &Folder, path: &SitePath) -> io::Result<Found> {
    let (folder, path, now_millis) = (folder.clone(), path.clone(), ctx.now_millis);
    let served = Arc::clone(&ctx.served);
    tokio::task::spawn_blocking(move || folder.look(&served.site, &path, now_millis))
        .await
        .map_err(io::Error::other)?
}

fn no_folder(ctx: &SiteCtx, error: &io::Error) -> Reply {
    tracing::error!(
        reference = ctx.reference,
        site = ctx.served.site.name,
        %error,
        "the folder of a docs site cannot be read; look at its `root`"
    );
    pages::error(
        ctx,
        StatusCode::SERVICE_UNAVAILABLE,
        &words::SITE_UNAVAILABLE,
    )
}

/// The site as this reader may know it, for giving out this file: what quotes other pages is never held against what they were before
/// it was read, and a page, whose links tell no more than names, may be within the second.
async fn view(
    ctx: &SiteCtx,
    folder: &Folder,
    stored: &Stored,
    reader: Option<Reader>,
) -> io::Result<Arc<View>> {
    let not_before = match stored.kind {
        Kind::Html => stored
            .read_at
            .min((ctx.now_millis + 1).saturating_sub(FRESH_MILLIS)),
        _ => stored.read_at,
    };
    let index = folder
        .index(&ctx.served, ctx.now_millis, not_before)
        .await?;
    Ok(Arc::new(View {
        served: Arc::clone(&ctx.served),
        reader,
        pages: Pages::Index(index),
    }))
}

/// Gives out a file to somebody who may have it.
async fn give(
    ctx: &SiteCtx,
    folder: &Folder,
    path: &SitePath,
    stored: &Arc<Stored>,
    reader: Option<Reader>,
) -> Result<Reply, Failure> {
    if matches!(stored.kind, Kind::Asset | Kind::Markdown) {
        return give_asset(ctx, folder, stored).await;
    }
    let view = match view(ctx, folder, stored, reader).await {
        Ok(view) => view,
        Err(error) => return Ok(no_folder(ctx, &error)),
    };
    match stored.kind {
        Kind::Html => give_page(ctx, &view, path, stored, StatusCode::OK).await,
        Kind::Search | Kind::SearchWhole if view.lists_everything() => {
            give_index(ctx, folder, &view, stored).await
        }
        Kind::SearchWhole => not_found(ctx, folder, view.reader.clone()).await,
        _ => give_filtered(ctx, folder, &view, path, stored).await,
    }
}

fn caching(ctx: &SiteCtx, stored: &Stored) -> Caching {
    let is_public =
        stored.access == Access::Public || ctx.served.site.visibility == Visibility::Personalised;
    match (is_public, stored.kind) {
        (false, _) => Caching::Private,
        (true, Kind::Asset) if media::is_fingerprinted(&stored.file) => Caching::Immutable,
        (true, Kind::Asset) => Caching::Public,
        // What depends on the reader for some, although it does not for this one.
        (true, _) => Caching::Page,
    }
}

/// Gives out a file as it is.
async fn give_asset(
    ctx: &SiteCtx,
    folder: &Folder,
    stored: &Arc<Stored>,
) -> Result<Reply, Failure> {
    let giving = Giving {
        media_type: media::media_type(&stored.file),
        caching: caching(ctx, stored),
        modified: stored.stamp.modified(),
        has_ranges: true,
    };
    if let Content::Here(encodings) = &stored.content {
        return Ok(delivery::give(ctx, encodings, &giving).await);
    }
    let opened = folder.open(stored, ctx.now_millis).await;
    match opened {
        Ok((file, stamp)) => {
            let giving = Giving {
                modified: stamp.modified(),
                ..giving
            };
            Ok(delivery::give_file(
                ctx,
                file,
                stamp.length(),
                &stamp.tag(),
                &giving,
            ))
        }
        Err(error) => Ok(no_folder(ctx, &error)),
    }
}

/// Gives out a search index to somebody for whom all of it is. Where it is not for everybody, it is for their own browser only.
async fn give_index(
    ctx: &SiteCtx,
    folder: &Folder,
    view: &Arc<View>,
    stored: &Arc<Stored>,
) -> Result<Reply, Failure> {
    let everybody = View {
        reader: None,
        ..View::clone(view)
    };
    if let (false, Content::Here(encodings)) = (everybody.lists_everything(), &stored.content) {
        return Ok(delivery::give_personal(
            StatusCode::OK,
            media::media_type(&stored.file),
            ReplyBody::from(encodings.bytes().clone()),
        ));
    }
    give_asset(ctx, folder, stored).await
}

/// The media type of a page: its charset is said where it is beyond doubt.
fn page_type(stored: &Stored, html: &[u8]) -> String {
    let media_type = media::media_type(&stored.file);
    if std::str::from_utf8(html).is_ok() {
        format!("{media_type}; charset=utf-8")
    } else {
        media_type.to_owned()
    }
}

async fn give_page(
    ctx: &SiteCtx,
    view: &Arc<View>,
    path: &SitePath,
    stored: &Arc<Stored>,
    status: StatusCode,
) -> Result<Reply, Failure> {
    let Content::Here(encodings) = &stored.content else {
        return Err(Failure::Internal("a page that is not in memory"));
    };
    let html = encodings.bytes();
    let media_type = page_type(stored, html);
    if view.reader.is_some() || status != StatusCode::OK {
        let Some(page) = rewritten(ctx, view, path, stored).await else {
            return Ok(unreadable(ctx));
        };
        return Ok(delivery::give_personal(
            status,
            &media_type,
            ReplyBody::from(page),
        ));
    }
    let Some(anonymous) = anonymous(ctx, view, path, stored).await else {
        return Ok(unreadable(ctx));
    };
    let giving = Giving {
        media_type: &media_type,
        caching: Caching::Page,
        modified: None,
        has_ranges: false,
    };
    Ok(delivery::give(ctx, &anonymous, &giving).await)
}

/// The page as it is for everybody who has not signed in: made once, and again when other pages come or go.
async fn anonymous(
    ctx: &SiteCtx,
    view: &Arc<View>,
    path: &SitePath,
    stored: &Arc<Stored>,
) -> Option<Arc<Encodings>> {
    let generation = view.generation();
    if let Some(made) = stored.anonymous.load_full()
        && made.0 == generation
    {
        return Some(Arc::clone(&made.1));
    }
    let made = delivery::kept(rewritten(ctx, view, path, stored).await?);
    stored
        .anonymous
        .store(Some(Arc::new((generation, Arc::clone(&made)))));
    Some(made)
}

async fn rewritten(
    ctx: &SiteCtx,
    view: &Arc<View>,
    path: &SitePath,
    stored: &Arc<Stored>,
) -> Option<Vec<u8>> {
    let Content::Here(encodings) = &stored.content else {
        return None;
    };
    let html = encodings.bytes().clone();
    let made = if html.len() < LONG_WORK_BYTES {
        rewrite::whole(view, path, &html)
    } else {
        let (view, path) = (Arc::clone(view), path.clone());
        tokio::task::spawn_blocking(move || rewrite::whole(&view, &path, &html))
            .await
            .ok()?
    };
    made.inspect_err(|error| {
        tracing::warn!(
            reference = ctx.reference,
            site = ctx.served.site.name,
            file = stored.file,
            %error,
            "a page cannot be given out"
        );
    })
    .ok()
}

fn unreadable(ctx: &SiteCtx) -> Reply {
    pages::error(
        ctx,
        StatusCode::INTERNAL_SERVER_ERROR,
        &words::SERVER_FAILED,
    )
}

/// Gives out a sitemap, or a search index to somebody for whom some pages are not.
async fn give_filtered(
    ctx: &SiteCtx,
    folder: &Folder,
    view: &Arc<View>,
    path: &SitePath,
    stored: &Arc<Stored>,
) -> Result<Reply, Failure> {
    let Content::Here(encodings) = &stored.content else {
        return not_found(ctx, folder, view.reader.clone()).await;
    };
    let is_sitemap = stored.kind == Kind::Sitemap;
    // A sitemap is the same for everybody, and so is the index of whoever has not signed in.
    let is_shared = is_sitemap || view.reader.is_none();
    let known = stored.anonymous.load_full();
    let known = known.filter(|known| is_shared && known.0 == view.generation());
    let made = if let Some(known) = known {
        Arc::clone(&known.1)
    } else {
        let (its_view, path, bytes) = (Arc::clone(view), path.clone(), encodings.bytes().clone());
        let made = tokio::task::spawn_blocking(move || {
            if is_sitemap {
                listing::sitemap(&its_view, &path, &bytes)
            } else {
                listing::search_index(&its_view, &path, &bytes)
            }
        });
        let Some(made) = made.await.ok().flatten() else {
            tracing::info!(
                reference = ctx.reference,
                site = ctx.served.site.name,
                file = stored.file,
                "a sitemap or search index names pages that are for some readers only, and cannot be filtered"
            );
            return not_found(ctx, folder, view.reader.clone()).await;
        };
        let made = delivery::kept(made);
        if is_shared {
            stored
                .anonymous
                .store(Some(Arc::new((view.generation(), Arc::clone(&made)))));
        }
        made
    };
    let media_type = media::media_type(&stored.file);
    if !is_shared {
        let bytes = made.bytes().clone();
        return Ok(delivery::give_personal(
            StatusCode::OK,
            media_type,
            ReplyBody::from(bytes),
        ));
    }
    let giving = Giving {
        media_type,
        caching: caching(ctx, stored),
        modified: None,
        has_ranges: false,
    };
    Ok(delivery::give(ctx, &made, &giving).await)
}

/// The answer for what is not there, and for what may not be known of: the site's own page where it has one for this reader.
async fn not_found(
    ctx: &SiteCtx,
    folder: &Folder,
    reader: Option<Reader>,
) -> Result<Reply, Failure> {
    let (Ok(path), Ok(root)) = (SitePath::parse(NOT_FOUND_PAGE), SitePath::parse("/")) else {
        return Ok(host::nothing_here(ctx));
    };
    let stored = match find(ctx, folder, &path).await {
        Ok(Found::File(stored)) if stored.fault.is_none() => stored,
        _ => return Ok(host::nothing_here(ctx)),
    };
    let user = reader.as_ref().map(|reader| &reader.user);
    let opening = stored.access.opening(ctx.served.site.visibility, user);
    let (Opening::Open, Ok(view)) = (opening, view(ctx, folder, &stored, reader).await) else {
        return Ok(host::nothing_here(ctx));
    };
    give_page(ctx, &view, &root, &stored, StatusCode::NOT_FOUND).await
}
