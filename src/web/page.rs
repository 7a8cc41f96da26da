//! The page: a few files, all in the program.

/// A file by its path, with its media type.
pub(super) fn file(path: &str) -> Option<(&'static str, &'static [u8])> {
    let found: (&str, &[u8]) = match path {
        "/" => ("text/html; charset=utf-8", include_bytes!("page/index.html")),
        "/app.js" => ("text/javascript; charset=utf-8", include_bytes!("page/app.js")),
        "/call.js" => ("text/javascript; charset=utf-8", include_bytes!("page/call.js")),
        "/style.css" => ("text/css; charset=utf-8", include_bytes!("page/style.css")),
        "/icon.svg" => ("image/svg+xml", include_bytes!("page/icon.svg")),
        "/app.webmanifest" => ("application/manifest+json", include_bytes!("page/app.webmanifest")),
        "/worker.js" => ("text/javascript; charset=utf-8", include_bytes!("page/worker.js")),
        _ => return None,
    };
    Some(found)
}
