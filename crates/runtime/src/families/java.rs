//! A Java home: its libraries and configuration.

use std::path::Path;

use crate::error::RuntimeError;
use crate::start::Resolver;
use crate::tree;

/// Folders of a Java home that it needs to run; manuals, headers and modules for `jlink` stay out.
const PARTS: [(&str, &str); 2] = [
    ("lib", "the Java virtual machine and its class library"),
    ("conf", "Java's configuration"),
];
/// Libraries for windows, sound and smart cards: they need devices, and dozens of libraries to talk to them.
const DEVICES: [&str; 6] = ["xawt", "jawt", "splashscreen", "jsound", "atk", "pcsc"];
/// Debian keeps the files of a Java home that people may edit here, and leaves links to them.
const SETTINGS: &str = "/etc/java-";
const LOCALE: &str = "/usr/lib/locale/C.utf8";

/// Adds the home of a Java program; a program of anything else has no such home.
pub(crate) fn add(resolver: &mut Resolver<'_>, home: &Path) -> Result<(), RuntimeError> {
    let lib = home.join("lib");
    let is_home = ["modules", "rt.jar"]
        .iter()
        .any(|file| resolver.look.is_file(&lib.join(file)))
        && resolver.look.is_dir(&home.join("bin"));
    if !is_home {
        return Ok(());
    }
    for module in tree::modules(&resolver.look, &lib)? {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        if !DEVICES.iter().any(|part| name.contains(part)) {
            resolver.add_module(&module)?;
        }
    }
    for (part, why) in PARTS {
        let path = home.join(part);
        if resolver.look.is_dir(&path) {
            add_settings(resolver, &path)?;
            match part {
                "lib" => resolver.needs.run(path, why),
                _ => resolver.needs.read(path, why),
            }
        }
    }
    if resolver.look.is_dir(Path::new(LOCALE)) {
        resolver
            .needs
            .read(LOCALE, "the locale C.UTF-8, by which Java names files");
    }
    Ok(())
}

/// The folder of settings to which a home's links lead.
fn add_settings(resolver: &mut Resolver<'_>, folder: &Path) -> Result<(), RuntimeError> {
    for path in tree::files(folder)? {
        let Some(target) = resolver.look.link(&path) else {
            continue;
        };
        let mut parts = target.components();
        let top: std::path::PathBuf = parts.by_ref().take(3).collect();
        let ours = top.to_str().is_some_and(|top| top.starts_with(SETTINGS));
        if ours && parts.all(|part| matches!(part, std::path::Component::Normal(_))) {
            resolver
                .needs
                .read(top, "Java's configuration, where Debian keeps it");
        }
    }
    Ok(())
}
