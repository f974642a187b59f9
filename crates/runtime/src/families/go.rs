//! Go's toolchain: its tools and the source of its standard library.

use std::path::Path;

use crate::error::RuntimeError;
use crate::start::Resolver;

/// The parts of a toolchain's folder that building needs. Debian keeps some behind links.
const PARTS: [(&str, &str); 4] = [
    ("pkg", "Go's tools and compiled packages"),
    ("src", "the source of Go's standard library"),
    ("VERSION", "Go's version"),
    ("go.env", "Go's own settings"),
];

pub(crate) fn add(resolver: &mut Resolver<'_>, root: &Path) -> Result<(), RuntimeError> {
    if !resolver.look.is_dir(&root.join("src")) || !resolver.look.is_dir(&root.join("pkg")) {
        return Ok(());
    }
    for (part, why) in PARTS {
        let path = root.join(part);
        if resolver.look.meta(&path).is_none() {
            continue;
        }
        if part == "pkg" {
            for folder in resolver.look.names(&path) {
                let inner = path.join(&folder);
                // Debian has the headers for assembly behind a link.
                if resolver.look.link(&inner).is_some() {
                    resolver.needs.read(inner, "Go's headers and packages");
                }
            }
            resolver.needs.run(path, why);
        } else {
            resolver.needs.read(path, why);
        }
    }
    Ok(())
}
