//! What an ELF file asks of its loader, read and never run.

use std::fs::File;
use std::path::{Path, PathBuf};

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::StringTable;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadCache, ReadRef};

use crate::error::{RuntimeError, io};

/// Bound on the entries read from one file's dynamic section: the file may be hostile.
const MAX_NEEDED: usize = 1024;
/// Bound on the names of symbols that are searched.
const MAX_NAMES: u64 = 64 << 20;

/// What an ELF file asks of its loader (System V gABI, chapter 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elf {
    /// Is it of the 64-bit class?
    pub(crate) wide: bool,
    /// `e_machine`.
    pub(crate) machine: u16,
    /// `PT_INTERP`: the loader.
    pub(crate) interpreter: Option<PathBuf>,
    /// `DT_NEEDED`, in order.
    pub(crate) needed: Vec<String>,
    /// `DT_RPATH`, unexpanded; ignored by loaders where `DT_RUNPATH` is present.
    pub(crate) rpath: Vec<String>,
    /// `DT_RUNPATH`, unexpanded.
    pub(crate) runpath: Vec<String>,
    /// Does it name `setlocale`, so that it asks for the locale that `LANG` names?
    pub(crate) asks_locale: bool,
    /// Does it name what makes the C library load `libgcc_s.so.1` by itself: the forced end of a thread,
    /// or a list of callers?
    pub(crate) unwinds: bool,
}

impl Elf {
    /// Reads the file; `Ok(None)` when it is not ELF at all.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, RuntimeError> {
        let file = File::open(path).map_err(io("open", path))?;
        if !file.metadata().map_err(io("read", path))?.is_file() {
            return Ok(None);
        }
        let cache = ReadCache::new(file);
        let bad = |what: &str| RuntimeError::Program {
            path: path.to_owned(),
            why: format!("its ELF headers are damaged ({what})"),
        };
        let parsed = match FileKind::parse(&cache) {
            Ok(FileKind::Elf64) => parse::<FileHeader64<Endianness>, _>(&cache),
            Ok(FileKind::Elf32) => parse::<FileHeader32<Endianness>, _>(&cache),
            _ => return Ok(None),
        };
        parsed.map(Some).map_err(|error| bad(&error.to_string()))
    }

    /// Can one process hold both?
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.wide == other.wide && self.machine == other.machine
    }
}

fn parse<'data, E, R>(data: R) -> object::Result<Elf>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = E::parse(data)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, data)?;
    let mut elf = Elf {
        wide: header.is_type_64(),
        machine: header.e_machine(endian),
        interpreter: None,
        needed: Vec::new(),
        rpath: Vec::new(),
        runpath: Vec::new(),
        asks_locale: false,
        unwinds: false,
    };
    let mut dynamic: &[E::Dyn] = &[];
    for segment in segments {
        if let Some(name) = segment.interpreter(endian, data)? {
            elf.interpreter = Some(PathBuf::from(String::from_utf8_lossy(name).into_owned()));
        }
        if let Some(entries) = segment.dynamic(endian, data)? {
            dynamic = entries;
        }
    }
    let find = |tag: i64| {
        dynamic
            .iter()
            .find(|entry| entry.tag(endian) == tag)
            .map(|entry| entry.val(endian))
    };
    let (Some(address), Some(size)) = (find(elf::DT_STRTAB), find(elf::DT_STRSZ)) else {
        return Ok(elf);
    };
    let start = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
        .find_map(|segment| {
            let from: u64 = segment.p_vaddr(endian).into();
            let inside = address
                .checked_sub(from)
                .filter(|at| *at < segment.p_filesz(endian).into())?;
            inside.checked_add(segment.p_offset(endian).into())
        });
    let Some(start) = start else { return Ok(elf) };
    if let Ok(names) = data.read_bytes_at(start, size.min(MAX_NAMES)) {
        let has = |name: &[u8]| memchr::memmem::find(names, name).is_some();
        elf.asks_locale = has(b"\0setlocale\0") || has(b"\0newlocale\0");
        elf.unwinds = [
            &b"\0pthread_exit\0"[..],
            b"\0pthread_cancel\0",
            b"\0backtrace\0",
        ]
        .into_iter()
        .any(has);
    }
    let strings = StringTable::new(data, start, start.saturating_add(size));
    let text = |entry: &E::Dyn| {
        let offset = u32::try_from(entry.val(endian)).ok()?;
        let bytes = strings.get(offset).ok()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    let split = |paths: &str| {
        paths
            .split(':')
            .filter(|dir| !dir.is_empty())
            .map(str::to_owned)
            .collect()
    };
    for entry in dynamic
        .iter()
        .take_while(|entry| entry.tag(endian) != elf::DT_NULL)
        .take(MAX_NEEDED)
    {
        let tag = entry.tag(endian);
        if tag == elf::DT_NEEDED {
            elf.needed.extend(text(entry));
        } else if tag == elf::DT_RPATH {
            elf.rpath = text(entry).as_deref().map(split).unwrap_or_default();
        } else if tag == elf::DT_RUNPATH {
            elf.runpath = text(entry).as_deref().map(split).unwrap_or_default();
        }
    }
    if !elf.runpath.is_empty() {
        elf.rpath.clear();
    }
    Ok(elf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_test_needs_the_c_library() {
        let elf = Elf::read(&std::env::current_exe().unwrap())
            .unwrap()
            .unwrap();
        assert!(
            elf.needed.iter().any(|name| name.starts_with("libc.")),
            "{elf:?}"
        );
        assert!(elf.interpreter.unwrap().is_absolute());
    }

    #[test]
    fn text_is_not_elf_and_a_cut_elf_is_an_error_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        assert_eq!(Elf::read(&path).unwrap(), None);
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for length in [4, 16, 63, 64, 200] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(
                !matches!(Elf::read(&path), Ok(Some(elf)) if !elf.needed.is_empty()),
                "{length}"
            );
        }
    }
}
