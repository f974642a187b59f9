//! Compiled code on disk: wasmtime's own cache, in a directory that nobody else can write.
//!
//! Compiled code is run as it is read back, so whoever can write the cache can run anything as us. wasmtime
//! keys its entries by the component's bytes, its own version and the compiler's settings.

use std::path::Path;

use bailiwick_wall::WallError;
use wasmtime::{Cache, CacheConfig};

/// Opens the cache, making the directory where it is missing.
/// # Errors
/// [`WallError::Build`] where it cannot be made, is a link, or others can enter it.
pub(crate) fn open(path: &Path) -> Result<Cache, WallError> {
    let wrong = |why: String| WallError::Build {
        what: format!("opening the cache `{}`", path.display()),
        why,
    };
    private_directory(path).map_err(wrong)?;
    let mut config = CacheConfig::new();
    config.with_directory(path);
    Cache::new(config).map_err(|error| wrong(format!("{error:#}")))
}

#[cfg(unix)]
fn private_directory(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    if !path.is_absolute() {
        return Err("its path is relative; name it from the root".into());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| error.to_string())?;
    let meta = std::fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_dir() {
        return Err("it is not a directory".into());
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to another user; name a directory of your own".into());
    }
    if meta.mode() & 0o077 != 0 {
        return Err("others can enter it; run `chmod 700` on it".into());
    }
    Ok(())
}

#[cfg(not(unix))]
fn private_directory(path: &Path) -> Result<(), String> {
    std::fs::create_dir_all(path).map_err(|error| error.to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_cache_that_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("a/cache");
        assert!(open(&cache).is_ok());
        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = open(&cache).err().map(|error| error.to_string()).unwrap();
        assert!(error.contains("chmod 700"), "{error}");
        let link = dir.path().join("link");
        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&cache, &link).unwrap();
        assert!(open(&link).is_err());
        assert!(open(Path::new("relative")).is_err());
    }

    #[test]
    fn what_was_compiled_once_is_loaded_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let bytes = wat::parse_str("(component (core module (func (export \"f\"))))").unwrap();
        let hits = |path: &Path| {
            let cache = open(path).unwrap();
            let mut config = wasmtime::Config::new();
            config.cache(Some(cache.clone()));
            let engine = wasmtime::Engine::new(&config).unwrap();
            wasmtime::component::Component::from_binary(&engine, &bytes).unwrap();
            cache.cache_hits()
        };
        assert_eq!((hits(&path), hits(&path)), (0, 1));
    }
}
