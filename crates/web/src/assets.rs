//! The style sheet, the script and the icon, built into the binary.
//!
//! Invariant: the address of an asset contains a hash of its content, so browsers may keep it for ever.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::sync::LazyLock;

/// One file.
pub(crate) struct Asset {
    /// Where it is served: `/assets/HASH.NAME`.
    pub(crate) path: String,
    name: String,
    media: &'static str,
    plain: &'static [u8],
    gzip: Vec<u8>,
}

/// The style sheet.
pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("trackside.css", "text/css; charset=utf-8", include_bytes!("assets/trackside.css")));
/// The script.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("trackside.js", "text/javascript; charset=utf-8", include_bytes!("assets/trackside.js"))
});
/// The script of the on-call calendar; pages that show one ask for it.
pub(crate) static CALENDAR: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("calendar.js", "text/javascript; charset=utf-8", include_bytes!("assets/calendar.js")));
/// The icon.
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")));

impl Asset {
    fn new(file: &str, media: &'static str, plain: &'static [u8]) -> Self {
        let digest = Sha256::digest(plain);
        let hash: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{hash}.{file}");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory does not fail; an empty result would only mean that the plain form is served.
        let gzip = encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default();
        Self { path: format!("/assets/{name}"), name, media, plain, gzip }
    }

    fn response(&self, headers: &HeaderMap) -> Response {
        let accepts = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let common = [
            (CONTENT_TYPE, self.media),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (VARY, "accept-encoding"),
        ];
        if !self.gzip.is_empty() && accepts.is_some_and(|accepts| accepts.contains("gzip")) {
            return (common, [(CONTENT_ENCODING, "gzip")], self.gzip.clone()).into_response();
        }
        (common, self.plain).into_response()
    }
}

/// `GET /assets/{name}`
pub(crate) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let found = [&*STYLE, &*SCRIPT, &*CALENDAR, &*ICON].into_iter().find(|asset| asset.name == name);
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |asset| asset.response(&headers))
}
