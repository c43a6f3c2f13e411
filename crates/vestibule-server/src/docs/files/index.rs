//! Every page of a folder, and for whom each is: what navigation, sitemaps and search indexes are held against.
//!
//! It may be some seconds behind the files. Whether a page opens is never decided by it, but by the page's own bytes.

use super::folder::{PAGE_BYTES_MAX, Stamp, access_of_file, read_file};
use crate::docs::media::{self, Kind};
use crate::http::docs_sites::ServedSite;
use cap_std::fs::Dir;
use std::collections::{BTreeMap, HashMap};
use std::io;
use vestibule_core::docs::access::Access;
use vestibule_core::docs::path::{SitePath, page_of};
use vestibule_core::docs::site::DocsSite;

/// The most files of a folder that are looked at.
const FILES_COUNT_MAX: usize = 200_000;
/// How deep folders may lie in one another.
const DEPTH_MAX: usize = 64;

/// The pages of a folder.
#[derive(Debug, Default)]
pub(in crate::docs) struct Index {
    /// By [`SitePath::page`].
    pages: HashMap<String, Access>,
    /// Every access that a page has, once.
    accesses: Vec<Access>,
    /// By the file's path: what was read of it when.
    files: BTreeMap<String, (Stamp, Access)>,
    generation: u64,
}

impl Index {
    /// For whom a page is; `None` if there is none.
    pub(in crate::docs) fn access_of(&self, path: &SitePath) -> Option<Access> {
        self.pages.get(&path.page()).cloned()
    }

    /// Every access that a page has.
    pub(in crate::docs) fn accesses(&self) -> &[Access] {
        &self.accesses
    }

    /// A number that changes when any page comes, goes or becomes another's.
    pub(in crate::docs) fn generation(&self) -> u64 {
        self.generation
    }
}

/// Reads a folder, and of its files those that changed since the index before.
pub(super) fn build(dir: &Dir, served: &ServedSite, before: Option<&Index>) -> io::Result<Index> {
    let mut walk = Walk {
        dir,
        site: &served.site,
        before,
        files: BTreeMap::new(),
        seen: 0,
    };
    let root = dir.try_clone()?;
    let stamp = Stamp::of(&root.dir_metadata()?);
    walk.folder(&root, "", &mut vec![stamp])?;
    if walk.seen >= FILES_COUNT_MAX {
        tracing::warn!(
            site = served.site.name,
            "the folder has more than {FILES_COUNT_MAX} files; of the others, navigation and search know only what the rules say"
        );
    }
    let files = walk.files;
    if let Some(before) = before.filter(|before| same(&before.files, &files)) {
        return Ok(Index {
            pages: before.pages.clone(),
            accesses: before.accesses.clone(),
            files,
            generation: before.generation,
        });
    }
    let mut pages: HashMap<String, Access> = HashMap::new();
    let mut accesses = Vec::new();
    for (file, (_, access)) in &files {
        if !accesses.contains(access) {
            accesses.push(access.clone());
        }
        pages
            .entry(page_of(&format!("/{file}")))
            .and_modify(|known| *known = narrower(known, access))
            .or_insert_with(|| access.clone());
    }
    Ok(Index {
        pages,
        accesses,
        files,
        generation: before.map_or(0, |before| before.generation + 1),
    })
}

fn same(
    before: &BTreeMap<String, (Stamp, Access)>,
    now: &BTreeMap<String, (Stamp, Access)>,
) -> bool {
    before.len() == now.len()
        && before
            .iter()
            .zip(now)
            .all(|((file, (_, access)), (other, (_, its)))| file == other && access == its)
}

/// Of two files that one address may mean: what both allow.
fn narrower(one: &Access, other: &Access) -> Access {
    match (one, other) {
        (Access::Groups(one), Access::Groups(other)) => Access::Groups(
            one.iter()
                .filter(|group| other.contains(group))
                .cloned()
                .collect(),
        ),
        (Access::Groups(groups), _) | (_, Access::Groups(groups)) => Access::Groups(groups.clone()),
        (Access::Site, _) | (_, Access::Site) => Access::Site,
        (Access::Public, Access::Public) => Access::Public,
    }
}

struct Walk<'a> {
    dir: &'a Dir,
    site: &'a DocsSite,
    before: Option<&'a Index>,
    files: BTreeMap<String, (Stamp, Access)>,
    seen: usize,
}

impl Walk<'_> {
    /// One folder; `above` are the folders that it lies in, which a link may lead back to.
    fn folder(&mut self, folder: &Dir, path: &str, above: &mut Vec<Stamp>) -> io::Result<()> {
        for entry in folder.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            self.seen += 1;
            if self.seen >= FILES_COUNT_MAX {
                return Ok(());
            }
            let file = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}/{name}")
            };
            // Through the site's folder: a link is followed within it, and no further.
            let metadata = if entry.file_type()?.is_symlink() {
                self.dir.metadata(&file)
            } else {
                entry.metadata()
            };
            let Ok(metadata) = metadata else { continue };
            let stamp = Stamp::of(&metadata);
            if metadata.is_dir() {
                let is_loop = above.iter().any(|other| other.is_same_file(&stamp));
                if is_loop || above.len() >= DEPTH_MAX {
                    continue;
                }
                if let Ok(inner) = self.dir.open_dir(&file) {
                    above.push(stamp);
                    // What cannot be read cannot be served either.
                    let _ = self.folder(&inner, &file, above);
                    above.pop();
                }
            } else if metadata.is_file()
                && matches!(media::kind(&file, None), Kind::Html | Kind::Markdown)
            {
                self.page(file, stamp);
            }
        }
        Ok(())
    }

    fn page(&mut self, file: String, stamp: Stamp) {
        let known = self
            .before
            .and_then(|before| before.files.get(&file))
            .filter(|(before, _)| *before == stamp);
        let access = match known {
            Some((_, access)) => Some(access.clone()),
            None => read_file(self.dir, &file, PAGE_BYTES_MAX)
                .ok()
                .and_then(|(_, bytes)| access_of_file(self.dir, self.site, &file, &bytes).ok()),
        };
        // A page that cannot be read is given to nobody, and nobody is told of it.
        let access = access.unwrap_or(Access::Groups(Vec::new()));
        self.files.insert(file, (stamp, access));
    }
}
