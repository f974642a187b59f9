//! The folder that a person works in: what other programs run or obey there is as good as a way out of every wall.

use std::path::{Path, PathBuf};

/// What makes a folder a workspace.
const MARKS: &[&str] = &[".git", ".mcp.json", ".claude", ".cursor", ".vscode"];
/// What other programs run or obey in a workspace. A trailing `/` is a folder.
const STEERING: &[&str] = &[
    ".git/config",
    ".git/hooks/",
    ".mcp.json",
    ".claude/",
    ".cursor/",
    ".vscode/",
    ".envrc",
    "bailiwick.yaml",
];

/// What nobody may write in the workspace around `here`, whether or not it is there already: what did not exist at the
/// start could be created by a plugin and obeyed at the next (LESSONS L14).
pub(crate) fn steering(here: &Path) -> Vec<(PathBuf, bool)> {
    let Ok(here) = here.canonicalize() else {
        return Vec::new();
    };
    let is_workspace = |dir: &&Path| {
        MARKS
            .iter()
            .any(|mark| dir.join(mark).symlink_metadata().is_ok())
    };
    let Some(root) = here.ancestors().find(is_workspace) else {
        return Vec::new();
    };
    let place = |name: &str| (root.join(name.trim_end_matches('/')), name.ends_with('/'));
    STEERING.iter().map(|name| place(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14_a_workspace_is_steered_by_files_that_need_not_exist_yet() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("src/deep")).unwrap();
        // A folder above may be a workspace itself; what counts is the nearest.
        std::fs::create_dir(root.join(".git")).unwrap();
        for here in [root.clone(), root.join("src/deep")] {
            let found = steering(&here);
            assert!(found.contains(&(root.join(".claude"), true)));
            assert!(found.contains(&(root.join(".git/hooks"), true)));
            assert!(found.contains(&(root.join("bailiwick.yaml"), false)));
        }
        assert!(steering(Path::new("/nowhere/at/all")).is_empty());
    }
}
