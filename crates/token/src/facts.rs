//! Reading the facts of a block.

use bailiwick_capability::{Capability, Grant, Granted};
use biscuit_auth::builder::{Fact, Term};

/// Begins every text claim: Biscuit prints an empty byte string as something that it cannot read.
pub(crate) const TEXT: char = '=';

/// The facts of one block.
pub(crate) struct Facts<'a>(pub(crate) &'a [Fact]);

impl<'a> Facts<'a> {
    pub(crate) fn named(&self, name: &'static str) -> impl Iterator<Item = &'a [Term]> {
        self.0
            .iter()
            .filter(move |one| one.predicate.name == name)
            .map(|one| one.predicate.terms.as_slice())
    }

    pub(crate) fn only(&self, name: &'static str) -> Result<&'a Term, String> {
        let mut found = self.named(name);
        match (found.next(), found.next()) {
            (Some([term]), None) => Ok(term),
            _ => Err(format!("not exactly one fact `{name}`")),
        }
    }

    pub(crate) fn bytes(&self, name: &'static str) -> Result<Vec<u8>, String> {
        match self.only(name)? {
            Term::Bytes(bytes) => Ok(bytes.clone()),
            _ => Err(format!("a `{name}` of another type")),
        }
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<String, String> {
        String::from_utf8(self.bytes(name)?)
            .ok()
            .and_then(|text| text.strip_prefix(TEXT).map(str::to_owned))
            .ok_or_else(|| format!("a `{name}` that is no text"))
    }

    pub(crate) fn int(&self, name: &'static str) -> Result<i64, String> {
        match self.only(name)? {
            Term::Integer(number) => Ok(*number),
            _ => Err(format!("a `{name}` of another type")),
        }
    }

    pub(crate) fn numbered(&self, name: &'static str) -> Result<Vec<(i64, Capability)>, String> {
        self.named(name)
            .map(|terms| match terms {
                [Term::Integer(number), Term::Bytes(text)] => std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .map(|capability| (*number, capability)),
                _ => None,
            })
            .collect::<Option<_>>()
            .ok_or_else(|| format!("a `{name}` that is no capability"))
    }

    pub(crate) fn optional_int(&self, name: &'static str) -> Result<Option<i64>, String> {
        if self.named(name).next().is_none() {
            return Ok(None);
        }
        self.int(name).map(Some)
    }

    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<String>, String> {
        if self.named(name).next().is_none() {
            return Ok(None);
        }
        self.text(name).map(Some)
    }

    /// Atoms with their holes, by the names of their facts, in the order of their numbers.
    pub(crate) fn atoms(
        &self,
        atom: &'static str,
        hole: &'static str,
    ) -> Result<Vec<(i64, Granted)>, String> {
        let holes = self.numbered(hole)?;
        let mut atoms = Vec::new();
        for (number, capability) in self.numbered(atom)? {
            let cut = holes
                .iter()
                .filter(|(of, _)| *of == number)
                .map(|(_, hole)| hole.clone());
            let granted = Granted::with_holes(capability, cut)
                .ok_or_else(|| "an atom of which nothing is left".to_owned())?;
            atoms.push((number, granted));
        }
        atoms.sort_by_key(|(number, _)| *number);
        Ok(atoms)
    }

    pub(crate) fn grant(&self) -> Result<Grant, String> {
        let atoms = self.atoms("atom", "hole")?;
        Ok(Grant::new(atoms.into_iter().map(|(_, granted)| granted)))
    }
}
