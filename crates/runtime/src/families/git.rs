//! git's own programs, and its templates.

use std::path::Path;

use crate::error::RuntimeError;
use crate::start::Resolver;

/// Found from where the binary is: git is never asked, as that would run it.
pub(crate) fn add(resolver: &mut Resolver<'_>, prefix: &Path) -> Result<(), RuntimeError> {
    for folder in ["libexec/git-core", "lib/git-core"] {
        let core = prefix.join(folder);
        if !resolver.look.is_file(&core.join("git")) {
            continue;
        }
        // Serves http and https alone, and its libraries are most of all that git needs.
        let http = core.join("git-remote-http");
        if resolver.settings.network && resolver.look.is_file(&http) {
            resolver.add_helper(&http, "fetches over http and https")?;
        }
        resolver.needs.run(core, "git's own programs");
        break;
    }
    let templates = prefix.join("share/git-core/templates");
    if resolver.look.is_dir(&templates) {
        resolver
            .needs
            .read(templates, "git's templates for new repositories");
    }
    Ok(())
}
