//! Stylesheet, script and mark: compiled in, and named by their content so that a browser may keep them for ever.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest;

/// A file of the pages.
#[derive(Debug)]
pub(crate) struct Asset {
    /// Its name in the source tree, for example `vestibule.css`.
    pub(crate) name: &'static str,
    /// Its content.
    pub(crate) bytes: &'static [u8],
    /// The `Content-Type` to serve it with.
    pub(crate) media_type: &'static str,
}

/// Every file of the pages.
pub(crate) const ASSETS: &[Asset] = &[
    Asset {
        name: "vestibule.css",
        bytes: include_bytes!("../../assets/vestibule.css"),
        media_type: "text/css; charset=utf-8",
    },
    Asset {
        name: "vestibule.js",
        bytes: include_bytes!("../../assets/vestibule.js"),
        media_type: "text/javascript; charset=utf-8",
    },
    Asset {
        name: "mark.svg",
        bytes: include_bytes!("../../assets/mark.svg"),
        media_type: "image/svg+xml",
    },
];

/// The script of docs sites, which serve it under a name of its own.
pub(crate) const READER_SCRIPT: &[u8] = include_bytes!("../../assets/reader.js");

/// Where assets live: at the root of the server, whatever the tenant.
const FOLDER: &str = "/assets/";

/// How much of the digest stands in a name: 40 bits tell apart all versions that will ever be.
const HASH_HEX_LENGTH: usize = 10;

/// The path of each asset, in the order of [`ASSETS`].
static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| ASSETS.iter().map(hashed_path).collect());

/// The path to write in a page, for example `/assets/vestibule.0123456789.css`. A name that is no asset gives an empty
/// path; a test renders every page and looks for one.
pub(crate) fn asset_path(name: &str) -> &'static str {
    ASSETS
        .iter()
        .zip(PATHS.iter())
        .find(|(asset, _)| asset.name == name)
        .map_or("", |(_, path)| path.as_str())
}

/// The asset that a requested file name (what follows `/assets/`) means, if its hash is the one that we serve.
pub(crate) fn find(file_name: &str) -> Option<&'static Asset> {
    ASSETS
        .iter()
        .zip(PATHS.iter())
        .find(|(_, path)| path.strip_prefix(FOLDER) == Some(file_name))
        .map(|(asset, _)| asset)
}

fn hashed_path(asset: &Asset) -> String {
    let hash = content_hash(asset.bytes);
    let (stem, extension) = asset.name.rsplit_once('.').unwrap_or((asset.name, ""));
    format!("{FOLDER}{stem}.{hash}.{extension}")
}

/// What tells apart the versions of a file.
pub(crate) fn content_hash(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut hash = String::with_capacity(2 * digest.as_ref().len());
    for byte in digest.as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    hash.truncate(HASH_HEX_LENGTH);
    hash
}

#[cfg(test)]
mod tests {
    use super::{ASSETS, asset_path, find};

    #[test]
    fn an_asset_is_found_by_its_hashed_name_only() {
        for asset in ASSETS {
            let path = asset_path(asset.name);
            let file_name = path.strip_prefix("/assets/").unwrap();
            assert_eq!(find(file_name).unwrap().name, asset.name);
            assert_eq!(file_name.split('.').nth(1).unwrap().len(), 10);
            assert!(find(asset.name).is_none());
        }
        assert!(find("vestibule.0000000000.css").is_none());
        assert!(find("").is_none());
    }
}
