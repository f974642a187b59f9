//! What a component imports, read from its bytes before anything is compiled.

use bailiwick_capability::{Grant, Kind, Scheme, Scope};
use bailiwick_wall::WallError;
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType,
    ComponentTypeRef, Encoding, InstanceTypeDeclaration, Parser, Payload,
};

/// Most imports of one component; a plugin controls the bytes.
const MAX_IMPORTS: usize = 1024;

/// What the world must hold before an import may be linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: types only, or an interface whose world is empty unless something is granted
    /// (no preopens, no variables, no terminal, output that goes nowhere).
    Nothing,
    /// Any atom of this kind.
    Kind(Kind),
    /// A `network_access` atom for `http` or `https`.
    Http,
    /// Network access by sockets, which this wall never links.
    Sockets,
    /// An import that this wall does not know.
    Unknown,
}

/// One import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its name as written, such as `wasi:sockets/tcp@0.2.6`.
    pub name: String,
    /// What it needs.
    pub need: Need,
}

/// All imports of a component, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imports {
    all: Vec<Import>,
}

impl Imports {
    /// Reads the imports. Compiles nothing.
    /// # Errors
    /// [`WallError::Plugin`] for bytes that are no component.
    pub fn read(bytes: &[u8]) -> Result<Self, WallError> {
        Reader::default().read(bytes)
    }

    /// The imports.
    pub fn iter(&self) -> impl Iterator<Item = &Import> {
        self.all.iter()
    }

    /// One line for each import that `grant` does not cover.
    #[must_use]
    pub fn refused_by(&self, grant: &Grant) -> Vec<String> {
        self.all
            .iter()
            .filter_map(|import| import.refused_by(grant))
            .collect()
    }
}

impl Import {
    fn refused_by(&self, grant: &Grant) -> Option<String> {
        let why = match self.need {
            Need::Nothing => return None,
            Need::Kind(kind) if grant.of_kind(kind).next().is_some() => return None,
            Need::Kind(kind) => format!("needs {kind}, which is not granted"),
            Need::Http if speaks_http(grant) => return None,
            Need::Http => {
                "needs network_access to an http or https host, which is not granted".into()
            }
            Need::Sockets => {
                "needs network_access by raw sockets, which the wasm wall never links; \
                              use wasi:http with an https grant"
                    .into()
            }
            Need::Unknown => "is no interface that the wasm wall knows".into(),
        };
        Some(format!(
            "component imports {}, which {why}",
            self.name.escape_debug()
        ))
    }
}

/// Whether some granted atom is for `http` or `https`.
pub(crate) fn speaks_http(grant: &Grant) -> bool {
    grant.of_kind(Kind::NetworkAccess).any(
        |atom| matches!(atom.capability().scope(), Scope::Net(net) if net.scheme() != Scheme::Tcp),
    )
}

/// The table of interfaces. `wasi:cli` and `wasi:filesystem` are imported by what every language
/// toolchain builds; with nothing granted they are linked to an empty world, which gives nothing away.
fn need_of(name: &str) -> Need {
    let Some((interface, version)) = name.split_once('@') else {
        return Need::Unknown;
    };
    if !version.starts_with("0.2.") {
        return Need::Unknown;
    }
    let Some((package, interface)) = interface.split_once('/') else {
        return Need::Unknown;
    };
    match (package, interface) {
        ("wasi:io", "error" | "poll" | "streams")
        | ("wasi:filesystem", "types" | "preopens")
        | (
            "wasi:cli",
            "environment" | "exit" | "stdin" | "stdout" | "stderr" | "terminal-input"
            | "terminal-output" | "terminal-stdin" | "terminal-stdout" | "terminal-stderr",
        ) => Need::Nothing,
        ("wasi:clocks", "monotonic-clock" | "wall-clock") => Need::Kind(Kind::Clock),
        ("wasi:random", "random" | "insecure" | "insecure-seed") => Need::Kind(Kind::Random),
        ("wasi:http", "types" | "outgoing-handler") => Need::Http,
        ("wasi:sockets", _) => Need::Sockets,
        _ => Need::Unknown,
    }
}

/// Follows the type index space of the outermost component, as far as imports need it.
#[derive(Default)]
struct Reader {
    /// For each type index: whether it is an instance type with nothing to call or hold.
    types_only: Vec<bool>,
    imports: Imports,
}

impl Reader {
    fn read(mut self, bytes: &[u8]) -> Result<Imports, WallError> {
        let mut depth = 0_usize;
        let mut component = false;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| not_a_component(&error))?;
            match payload {
                Payload::Version { encoding, .. } if depth == 0 => {
                    component = encoding == Encoding::Component
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                other if depth == 0 => self
                    .section(other)
                    .map_err(|error| not_a_component(&error))?,
                _ => {}
            }
        }
        if component {
            Ok(self.imports)
        } else {
            Err(WallError::Plugin(
                "this is a core wasm module, not a component; wrap it with `wasm-tools component new`".into(),
            ))
        }
    }

    fn section(&mut self, payload: Payload<'_>) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::ComponentTypeSection(types) => {
                for ty in types {
                    self.types_only.push(is_types_only(&ty?));
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    self.alias(&alias?);
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    if export?.kind == ComponentExternalKind::Type {
                        self.types_only.push(false);
                    }
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let import = import?;
                    self.import(import.name.name, import.ty);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        let is_type = matches!(
            alias,
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Type,
                ..
            } | ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Type,
                ..
            }
        );
        if is_type {
            self.types_only.push(false);
        }
    }

    fn import(&mut self, name: &str, ty: ComponentTypeRef) {
        let need = match ty {
            ComponentTypeRef::Type(_) => {
                self.types_only.push(false);
                Need::Nothing
            }
            // A miscount here could only misname a need: what is not linked cannot be instantiated.
            ComponentTypeRef::Instance(index)
                if usize::try_from(index)
                    .ok()
                    .and_then(|at| self.types_only.get(at))
                    == Some(&true) =>
            {
                Need::Nothing
            }
            ComponentTypeRef::Instance(_) => need_of(name),
            _ => Need::Unknown,
        };
        if self.imports.all.len() < MAX_IMPORTS {
            self.imports.all.push(Import {
                name: name.to_owned(),
                need,
            });
        } else {
            self.imports.all.truncate(MAX_IMPORTS);
            self.imports.all.push(Import {
                name: "more than 1024 interfaces".into(),
                need: Need::Unknown,
            });
        }
    }
}

fn is_types_only(ty: &ComponentType<'_>) -> bool {
    let ComponentType::Instance(declarations) = ty else {
        return false;
    };
    declarations.iter().all(|declaration| match declaration {
        InstanceTypeDeclaration::Export { ty, .. } => {
            matches!(ty, ComponentTypeRef::Type(wasmparser::TypeBounds::Eq(_)))
        }
        _ => true,
    })
}

fn not_a_component(error: &wasmparser::BinaryReaderError) -> WallError {
    WallError::Plugin(format!("this is not a wasm component: {error}"))
}
