//! A manifest inside a Wasm component or module, as a custom section.

use wasmparser::{Encoding, Parser, Payload};

use crate::read::{self, Carrier};
use crate::{Manifest, ManifestErrors};

/// The name of the custom section.
pub const SECTION: &str = "bailiwick:manifest";
/// Larger binaries are refused before they are read: an interpreter compiled to Wasm has about 20 MB.
pub const MAX_COMPONENT_BYTES: usize = 256 * 1024 * 1024;

/// Why a manifest cannot be read from, or put into, a Wasm binary.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ComponentError {
    /// The binary is larger than [`MAX_COMPONENT_BYTES`].
    #[error("the Wasm binary is larger than {MAX_COMPONENT_BYTES} bytes")]
    TooLarge,
    /// The bytes are no Wasm.
    #[error("not a Wasm binary: {0}; build it as a component (or a core module)")]
    NotWasm(String),
    /// Two manifests.
    #[error(
        "the Wasm binary carries more than one `{SECTION}` section; build it anew and embed one manifest"
    )]
    Twice,
    /// The binary carries a manifest already.
    #[error(
        "the Wasm binary carries a manifest already; embed into the binary as the compiler made it"
    )]
    Present,
    /// The manifest itself is wrong.
    #[error("{0}")]
    Manifest(ManifestErrors),
}

impl From<ManifestErrors> for ComponentError {
    fn from(errors: ManifestErrors) -> Self {
        Self::Manifest(errors)
    }
}

impl Manifest {
    /// Reads the manifest that a Wasm component or module carries at its top level; `None` where it carries none.
    /// `name` is what people know the binary by. Nothing is compiled or run.
    ///
    /// # Errors
    /// Bytes that are no Wasm, two manifests, or a wrong one.
    pub fn from_component(name: &str, bytes: &[u8]) -> Result<Option<Self>, ComponentError> {
        let Some(section) = section(bytes)? else {
            return Ok(None);
        };
        let name = format!("{name}#{SECTION}");
        Ok(Some(read::manifest(&name, section, Carrier::Component)?))
    }
}

/// Puts a manifest into a Wasm component or module, behind its other sections.
///
/// # Errors
/// A binary that is no Wasm or carries a manifest, or a manifest that is wrong for a component.
pub fn embed(component: &[u8], manifest: &[u8]) -> Result<Vec<u8>, ComponentError> {
    if section(component)?.is_some() {
        return Err(ComponentError::Present);
    }
    read::manifest(SECTION, manifest, Carrier::Component)?;
    let mut body = leb128(SECTION.len());
    body.extend_from_slice(SECTION.as_bytes());
    body.extend_from_slice(manifest);
    let mut whole = component.to_vec();
    whole.push(0);
    whole.extend(leb128(body.len()));
    whole.extend(body);
    Ok(whole)
}

/// The manifest's section of the outermost binary; those of nested modules and components belong to them.
fn section(bytes: &[u8]) -> Result<Option<&[u8]>, ComponentError> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(ComponentError::TooLarge);
    }
    let wrong = |error: wasmparser::BinaryReaderError| ComponentError::NotWasm(error.to_string());
    let mut found = None;
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(wrong)? {
            Payload::Version {
                encoding: Encoding::Module | Encoding::Component,
                ..
            } => depth = depth.saturating_add(1),
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(custom) if depth == 1 && custom.name() == SECTION => {
                let earlier = found.replace(custom.data());
                if earlier.is_some() {
                    return Err(ComponentError::Twice);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Unsigned LEB128, as Wasm writes lengths.
fn leb128(length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = length;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
