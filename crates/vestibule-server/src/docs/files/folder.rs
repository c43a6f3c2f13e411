//! The folder of a site: files in memory, each with the access that belongs to its bytes.
//!
//! The law: nothing outside the folder is opened, whatever links say. What is in memory is held against the file once a second, and
//! access is read from the bytes that are given out.

use super::index::{self, Index};
use crate::docs::delivery::Encodings;
use crate::docs::media::{self, Kind};
use crate::docs::rewrite::{self, RewriteError};
use crate::http::docs_sites::ServedSite;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt as _};
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use vestibule_core::docs::access::Access;
use vestibule_core::docs::front_matter::front_matter;
use vestibule_core::docs::path::{SitePath, names_of};
use vestibule_core::docs::site::DocsSite;

/// The largest page, in bytes.
pub(super) const PAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The largest file that is kept in memory, in bytes.
const KEPT_BYTES_MAX: u64 = 1024 * 1024;
/// What the files of one site may take in memory, in bytes.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How many files that may be.
const KEPT_COUNT_USUAL: usize = 4096;
/// How long a file is given out without looking at it again.
pub(super) const FRESH_MILLIS: u64 = 1000;
/// How long the index is held for true.
const INDEX_FRESH_MILLIS: u64 = 5000;

/// What tells that a file is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether it is the same file or folder, whatever became of it.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// How many bytes the file has.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// When the file was last written, in whole seconds as headers say it.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.modified.0).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// An entity tag of a file that is not read whole.
    pub(super) fn tag(&self) -> String {
        let (seconds, nanos) = self.modified;
        format!("{:x}-{seconds:x}-{nanos:x}-{:x}", self.length, self.inode)
    }
}

/// The bytes of a file.
pub(super) enum Content {
    /// They are here.
    Here(Arc<Encodings>),
    /// They are too many, and are read as they are given out.
    OnDisk,
}

/// A file that may be given out, to whom its access says.
pub(super) struct Stored {
    /// Its path in the folder.
    pub(super) file: String,
    /// What it is to the gate.
    pub(super) kind: Kind,
    /// When these bytes were the file's.
    pub(super) stamp: Stamp,
    /// For whom it is.
    pub(super) access: Access,
    /// Its bytes.
    pub(super) content: Content,
    /// Why the page is not given out at all.
    pub(super) fault: Option<String>,
    /// What a page is to somebody who has not signed in, and the index that this was made with.
    pub(super) anonymous: ArcSwapOption<(u64, Arc<Encodings>)>,
    /// When they were read.
    pub(super) read_at: u64,
    checked_at: AtomicU64,
}

impl Stored {
    /// How many bytes the file has.
    pub(super) fn length(&self) -> u64 {
        self.stamp.length
    }
}

/// What a path leads to.
pub(super) enum Found {
    /// A file.
    File(Arc<Stored>),
    /// A folder with a first page, asked for without the slash; that page's file.
    Folder(Arc<Stored>),
    /// Nothing.
    Nothing,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<String, Arc<Stored>> for ByBytes {
    fn weight(&self, key: &String, stored: &Arc<Stored>) -> u64 {
        let bytes = match &stored.content {
            // Compressed, and as a page for those who have not signed in, it is kept again.
            Content::Here(_) => stored.length().saturating_mul(3),
            Content::OnDisk => 0,
        };
        let names = u64::try_from(key.len() + stored.file.len()).unwrap_or(u64::MAX);
        bytes.saturating_add(names).saturating_add(512)
    }
}

/// A site's folder. Copies are the same folder.
#[derive(Clone)]
pub(in crate::docs) struct Folder(Arc<Inner>);

struct Inner {
    root: String,
    dir: Mutex<Option<(u64, Arc<Dir>)>>,
    files: Cache<String, Arc<Stored>, ByBytes>,
    index: ArcSwapOption<(u64, Arc<Index>)>,
    indexing: tokio::sync::Mutex<()>,
}

impl Folder {
    /// A folder of which nothing is read yet.
    pub(in crate::docs) fn new(root: &str) -> Self {
        Self(Arc::new(Inner {
            root: root.to_owned(),
            dir: Mutex::new(None),
            files: Cache::with_weighter(KEPT_COUNT_USUAL, MEMORY_BYTES_MAX, ByBytes),
            index: ArcSwapOption::empty(),
            indexing: tokio::sync::Mutex::new(()),
        }))
    }

    /// The folder, opened anew once a second: where its path leads to another one since, that one counts.
    pub(super) fn dir(&self, now_millis: u64) -> io::Result<Arc<Dir>> {
        let mut kept = self.0.dir.lock();
        if let Some((at, dir)) = &*kept
            && at.abs_diff(now_millis) < FRESH_MILLIS
        {
            return Ok(Arc::clone(dir));
        }
        let dir = Arc::new(Dir::open_ambient_dir(&self.0.root, ambient_authority())?);
        *kept = Some((now_millis, Arc::clone(&dir)));
        Ok(dir)
    }

    /// What was read of a path within the last second.
    pub(super) fn recall(&self, path: &SitePath, now_millis: u64) -> Option<Arc<Stored>> {
        let stored = self.0.files.get(&path.decoded())?;
        let at = stored.checked_at.load(Ordering::Relaxed);
        (at.abs_diff(now_millis) < FRESH_MILLIS).then_some(stored)
    }

    /// Opens a file whose bytes are not in memory, and says what is opened.
    pub(super) async fn open(
        &self,
        stored: &Arc<Stored>,
        now_millis: u64,
    ) -> io::Result<(std::fs::File, Stamp)> {
        let (folder, stored) = (self.clone(), Arc::clone(stored));
        let work = tokio::task::spawn_blocking(move || {
            let file = folder.dir(now_millis)?.open(&stored.file)?;
            let stamp = Stamp::of(&file.metadata()?);
            Ok((file.into_std(), stamp))
        });
        work.await.map_err(io::Error::other)?
    }

    /// Looks for what a path leads to. It blocks.
    pub(super) fn look(
        &self,
        site: &DocsSite,
        path: &SitePath,
        now_millis: u64,
    ) -> io::Result<Found> {
        if path.is_hidden() {
            return Ok(Found::Nothing);
        }
        let dir = self.dir(now_millis)?;
        let relative = path.relative();
        if path.is_folder() {
            let file = if relative.is_empty() {
                "index.html".to_owned()
            } else {
                format!("{relative}/index.html")
            };
            return Ok(match self.stored(&dir, site, path, &file, now_millis) {
                Some(stored) => Found::File(stored),
                None => Found::Nothing,
            });
        }
        let is_variant = media::variant_of(&relative).is_some_and(|file| is_file(&dir, file));
        if is_variant {
            return Ok(Found::Nothing);
        }
        for file in [relative.clone(), format!("{relative}.html")] {
            if let Some(stored) = self.stored(&dir, site, path, &file, now_millis) {
                return Ok(Found::File(stored));
            }
        }
        let first = format!("{relative}/index.html");
        Ok(match Self::read(&dir, site, &first, now_millis) {
            Some(stored) => Found::Folder(Arc::new(stored)),
            None => Found::Nothing,
        })
    }

    /// A file, from memory if it is as it was.
    fn stored(
        &self,
        dir: &Dir,
        site: &DocsSite,
        path: &SitePath,
        file: &str,
        now_millis: u64,
    ) -> Option<Arc<Stored>> {
        let metadata = dir.metadata(file).ok().filter(Metadata::is_file)?;
        let key = path.decoded();
        if let Some(stored) = self.0.files.get(&key)
            && stored.file == file
            && stored.stamp == Stamp::of(&metadata)
        {
            stored.checked_at.store(now_millis, Ordering::Relaxed);
            return Some(stored);
        }
        let stored = Arc::new(Self::read(dir, site, file, now_millis)?);
        if stored.length() <= KEPT_BYTES_MAX || matches!(stored.content, Content::OnDisk) {
            self.0.files.insert(key, Arc::clone(&stored));
        }
        Some(stored)
    }

    fn read(dir: &Dir, site: &DocsSite, file: &str, now_millis: u64) -> Option<Stored> {
        let metadata = dir.metadata(file).ok().filter(Metadata::is_file)?;
        let path = format!("/{file}");
        let kind = kind_of(site, &path);
        let mut stored = Stored {
            file: file.to_owned(),
            kind,
            stamp: Stamp::of(&metadata),
            access: Access::Groups(Vec::new()),
            content: Content::OnDisk,
            fault: None,
            anonymous: ArcSwapOption::empty(),
            read_at: now_millis,
            checked_at: AtomicU64::new(now_millis),
        };
        if kind == Kind::Asset && metadata.len() > KEPT_BYTES_MAX {
            stored.access = site.access_by_rules(&names(dir, file));
            return Some(stored);
        }
        let read = read_file(dir, file, PAGE_BYTES_MAX);
        let (stamp, bytes) = match read {
            Ok(read) => read,
            Err(error) => {
                stored.fault = Some(error.to_string());
                return Some(stored);
            }
        };
        stored.stamp = stamp;
        match access_of_file(dir, site, file, &bytes) {
            Ok(access) => stored.access = access,
            Err(error) => stored.fault = Some(error.to_string()),
        }
        stored.content = Content::Here(Arc::new(Self::encodings(dir, &stored, bytes)));
        Some(stored)
    }

    /// The bytes of a file, with what was compressed of it beforehand.
    fn encodings(dir: &Dir, stored: &Stored, bytes: Bytes) -> Encodings {
        let mut encodings = Encodings::new(bytes);
        if stored.kind != Kind::Asset {
            return encodings;
        }
        for (ending, coding) in media::VARIANTS {
            let file = format!("{}.{ending}", stored.file);
            let Ok((stamp, bytes)) = read_file(dir, &file, KEPT_BYTES_MAX) else {
                continue;
            };
            // One that is older than the file was made of another.
            if stamp.modified >= stored.stamp.modified {
                encodings.add(coding, bytes);
            }
        }
        encodings
    }

    /// The pages of the folder, read again if that was some seconds ago, or before `not_before`. Who comes while they are read
    /// because of their age gets those before.
    pub(super) async fn index(
        &self,
        served: &Arc<ServedSite>,
        now_millis: u64,
        not_before: u64,
    ) -> io::Result<Arc<Index>> {
        let is_fresh = |at: u64| at >= not_before && at.abs_diff(now_millis) < INDEX_FRESH_MILLIS;
        let known = self.0.index.load_full();
        if let Some(known) = known.as_ref().filter(|known| is_fresh(known.0)) {
            return Ok(Arc::clone(&known.1));
        }
        let usable = known.filter(|known| known.0 >= not_before);
        let _one_at_a_time = match (usable, self.0.indexing.try_lock()) {
            (_, Ok(guard)) => guard,
            (Some(known), Err(_)) => return Ok(Arc::clone(&known.1)),
            (None, Err(_)) => self.0.indexing.lock().await,
        };
        let known = self.0.index.load_full();
        if let Some(known) = known.as_ref().filter(|known| is_fresh(known.0)) {
            return Ok(Arc::clone(&known.1));
        }
        let dir = self.dir(now_millis)?;
        let before = known.as_ref().map(|known| Arc::clone(&known.1));
        let served = Arc::clone(served);
        let built =
            tokio::task::spawn_blocking(move || index::build(&dir, &served, before.as_deref()));
        let built = Arc::new(built.await.map_err(io::Error::other)??);
        self.0
            .index
            .store(Some(Arc::new((now_millis, Arc::clone(&built)))));
        Ok(built)
    }
}

/// What a file of this path is on this site.
fn kind_of(site: &DocsSite, path: &str) -> Kind {
    if site.search_indexes.is_empty() {
        return media::kind(path, None);
    }
    let is_index = |path: &str| {
        site.search_indexes
            .iter()
            .any(|pattern| pattern.matches(path))
    };
    media::kind(path, Some(&is_index))
}

fn is_file(dir: &Dir, file: &str) -> bool {
    dir.metadata(file).is_ok_and(|metadata| metadata.is_file())
}

/// Reads a file that is not larger than that.
pub(super) fn read_file(dir: &Dir, file: &str, bytes_max: u64) -> io::Result<(Stamp, Bytes)> {
    // Opening something else, such as a pipe, may wait for ever.
    if !is_file(dir, file) {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    let opened = dir.open(file)?;
    let stamp = Stamp::of(&opened.metadata()?);
    let mut bytes = Vec::new();
    opened.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        return Err(io::Error::other(format!(
            "the file has more than {bytes_max} bytes"
        )));
    }
    Ok((stamp, bytes.into()))
}

/// For whom a file is: its own word, or else what the rules say of it by any of its names.
pub(super) fn access_of_file(
    dir: &Dir,
    site: &DocsSite,
    file: &str,
    bytes: &[u8],
) -> Result<Access, RewriteError> {
    let own = match media::kind(&format!("/{file}"), None) {
        Kind::Html => rewrite::own_word(bytes)?.access(),
        Kind::Markdown => match front_matter(&String::from_utf8_lossy(bytes)).access() {
            Some(access) => Some(access),
            None => word_of_page(dir, file)?,
        },
        Kind::Sitemap | Kind::Search | Kind::SearchWhole | Kind::Asset => None,
    };
    Ok(own.unwrap_or_else(|| site.access_by_rules(&names(dir, file))))
}

/// The word of the page whose text a Markdown file is.
fn word_of_page(dir: &Dir, file: &str) -> Result<Option<Access>, RewriteError> {
    let Some((stem, _)) = file.rsplit_once('.') else {
        return Ok(None);
    };
    let stem = stem.strip_suffix(".html").unwrap_or(stem);
    for page in [format!("{stem}.html"), format!("{stem}/index.html")] {
        if let Ok((_, html)) = read_file(dir, &page, PAGE_BYTES_MAX) {
            return Ok(rewrite::own_word(&html)?.access());
        }
    }
    Ok(None)
}

/// Every name by which a file may be asked for: that of the page whose text it is, and that of the file which a link leads to, too.
fn names(dir: &Dir, file: &str) -> Vec<String> {
    let mut names = names_of(&format!("/{file}"));
    if media::kind(file, None) == Kind::Markdown
        && let Some((page, _)) = file.rsplit_once('.')
    {
        names.extend(names_of(&format!("/{page}")));
    }
    if let Ok(real) = dir.canonicalize(file)
        && let Some(real) = real.to_str()
        && real != file
    {
        names.extend(names_of(&format!("/{real}")));
    }
    names
}
