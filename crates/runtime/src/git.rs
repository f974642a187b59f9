//! What git needs beside its libraries.

use std::path::Path;

use crate::closure::Needs;

/// Adds git's own programs and templates, found from where the binary is: it is never asked, as that
/// would run it.
pub(crate) fn add(needs: &mut Needs, git: &Path) {
    let Some(prefix) = git.parent().and_then(Path::parent) else {
        return;
    };
    for folder in ["libexec/git-core", "lib/git-core"] {
        let core = prefix.join(folder);
        if core.join("git").is_file() {
            needs.run(core, "git's own programs");
            break;
        }
    }
    let templates = prefix.join("share/git-core/templates");
    if templates.is_dir() {
        needs.read(templates, "git's templates for new repositories");
    }
}
