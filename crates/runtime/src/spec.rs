//! Names and versions of registry packages: nothing else (no URLs, folders, repositories) is a package.

use std::fmt;

use crate::error::RuntimeError;

/// npm's own bound on names.
const MAX_NAME: usize = 214;
const MAX_VERSION: usize = 64;

/// `name`, `@scope/name`, either with `@version`, `@range` or `@tag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NpmSpec {
    pub(crate) name: String,
    /// None means the registry's `latest`.
    pub(crate) version: Option<String>,
}

impl NpmSpec {
    pub(crate) fn parse(text: &str) -> Result<Self, RuntimeError> {
        let bad = || wrong(text, "`name`, `@scope/name`, or either with `@version`");
        let (scope, rest) = match text.strip_prefix('@') {
            Some(scoped) => {
                let (scope, rest) = scoped.split_once('/').ok_or_else(bad)?;
                (Some(scope), rest)
            }
            None => (None, text),
        };
        let (name, version) = rest
            .split_once('@')
            .map_or((rest, None), |(name, version)| (name, Some(version)));
        let good = scope.is_none_or(is_npm_part)
            && is_npm_part(name)
            && text.len() <= MAX_NAME + MAX_VERSION;
        if !good || !version.is_none_or(is_npm_version) {
            return Err(bad());
        }
        let name = scope.map_or_else(|| name.to_owned(), |scope| format!("@{scope}/{name}"));
        Ok(Self {
            name,
            version: version
                .filter(|version| *version != "latest")
                .map(str::to_owned),
        })
    }

    /// The name without its scope.
    pub(crate) fn short(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for NpmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn is_npm_part(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty()
        && text.bytes().all(plain)
        && !text.starts_with(['.', '-', '_'])
        && text.len() <= MAX_NAME
}

/// A version, a range without blanks, or a tag. No `/` and no `:`, so no address can hide here.
fn is_npm_version(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphanumeric() || b"^~<>=*".contains(&byte);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+^~<>=*|".contains(&byte);
    text.len() <= MAX_VERSION
        && text.bytes().next().is_some_and(first)
        && text.bytes().all(plain)
        && !text.contains("..")
}

/// `name`, `name[extra]`, either with `@version` or a list of `==1.0,>=1`-like bounds (PEP 508's names, PEP 440's bounds).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PypiSpec {
    pub(crate) name: String,
    extras: Vec<String>,
    bounds: Vec<String>,
}

impl PypiSpec {
    pub(crate) fn parse(text: &str) -> Result<Self, RuntimeError> {
        let bad = || wrong(text, "`name`, `name==version` or `name[extra]>=version`");
        let end = text
            .find(|letter: char| !is_pypi_letter(letter))
            .unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        if !is_pypi_name(name) || text.len() > MAX_NAME + 4 * MAX_VERSION {
            return Err(bad());
        }
        let mut extras = Vec::new();
        if let Some(inner) = rest.strip_prefix('[') {
            let (list, after) = inner.split_once(']').ok_or_else(bad)?;
            extras = list.split(',').map(str::to_owned).collect();
            rest = after;
        }
        let bounds: Vec<String> = match rest.strip_prefix('@') {
            Some("latest") => Vec::new(),
            Some(version) => vec![format!("=={version}")],
            None if rest.is_empty() => Vec::new(),
            None => rest.split(',').map(str::to_owned).collect(),
        };
        if !extras.iter().all(|extra| is_pypi_name(extra))
            || !bounds.iter().all(|bound| is_bound(bound))
        {
            return Err(bad());
        }
        Ok(Self {
            name: name.to_owned(),
            extras,
            bounds,
        })
    }
}

impl fmt::Display for PypiSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.extras.is_empty() {
            write!(f, "[{}]", self.extras.join(","))?;
        }
        f.write_str(&self.bounds.join(","))
    }
}

/// PEP 503's normal form of a project name.
pub(crate) fn normal_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        let letter = if "._-".contains(letter) {
            '-'
        } else {
            letter.to_ascii_lowercase()
        };
        if letter != '-' || !out.ends_with('-') {
            out.push(letter);
        }
    }
    out
}

fn is_pypi_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "._-".contains(letter)
}

fn is_pypi_name(text: &str) -> bool {
    let ends = text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && text.ends_with(|letter: char| letter.is_ascii_alphanumeric());
    ends && text.chars().all(is_pypi_letter) && text.len() <= MAX_NAME
}

fn is_bound(text: &str) -> bool {
    let Some(version) = ["===", "==", "~=", "!=", ">=", "<=", ">", "<"]
        .iter()
        .find_map(|sign| text.strip_prefix(sign))
    else {
        return false;
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+!*".contains(&byte);
    !version.is_empty()
        && version.len() <= MAX_VERSION
        && version.bytes().all(plain)
        && !version.contains("..")
}

fn wrong(text: &str, form: &str) -> RuntimeError {
    RuntimeError::Refused {
        command: text.to_owned(),
        why: "it does not name a package of the registry".to_owned(),
        mend: format!("write {form}; folders, addresses and repositories cannot be pinned"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pypi_names_compare_in_normal_form() {
        assert_eq!(normal_name("Mcp_Server.-Git"), "mcp-server-git");
    }

    proptest! {
        #[test]
        fn what_parses_prints_itself_and_is_harmless(text in "\\PC{0,40}") {
            if let Ok(spec) = NpmSpec::parse(&text) {
                prop_assert_eq!(NpmSpec::parse(&spec.to_string()).unwrap(), spec.clone());
                prop_assert!(!spec.to_string().contains([':', ' ', ';', '$', '\\']) && !text.contains(".."));
            }
            if let Ok(spec) = PypiSpec::parse(&text) {
                prop_assert_eq!(PypiSpec::parse(&spec.to_string()).unwrap(), spec.clone());
                prop_assert!(!spec.to_string().contains(['/', ':', ' ', ';', '$', '@']));
            }
        }

        #[test]
        fn printed_specs_parse_back(name in "[a-z][a-z0-9-]{0,8}[a-z]", version in "[0-9]\\.[0-9]{1,2}") {
            let npm = format!("@s/{name}@{version}");
            prop_assert_eq!(NpmSpec::parse(&npm).unwrap().to_string(), npm);
            let pypi = format!("{name}[cli]>={version},<9");
            prop_assert_eq!(PypiSpec::parse(&pypi).unwrap().to_string(), pypi);
        }
    }
}
