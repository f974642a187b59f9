//! Perl's modules, where its makers and Debian's put them (`@INC`).

use std::path::{Path, PathBuf};

use crate::start::Resolver;

pub(crate) fn add(resolver: &mut Resolver<'_>) {
    let libraries = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut found: Vec<(PathBuf, bool)> = vec![
        (PathBuf::from(&libraries).join("perl-base"), true),
        (PathBuf::from("/usr/share/perl5"), false),
    ];
    for (above, run) in [
        (format!("{libraries}/perl"), true),
        ("/usr/share/perl".to_owned(), false),
    ] {
        for version in resolver.look.names(Path::new(&above)) {
            // `5.36` is a link to `5.36.0`; Perl asks for the former.
            found.push((Path::new(&above).join(version), run));
        }
    }
    for (folder, run) in found {
        if !resolver.look.is_dir(&folder) {
            continue;
        }
        match run {
            true => resolver
                .needs
                .run(folder, "Perl's own modules, some of them native"),
            false => resolver.needs.read(folder, "Perl's own modules"),
        }
    }
}
