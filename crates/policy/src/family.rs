//! The parts of a request that policies can tell apart, and what is granted of it when each part was judged.
//!
//! The family is closed under meet. So each point of the request has one smallest part that holds it, and of
//! two points with the same smallest part, every constant holds both or neither. Policies see points only
//! through constants, so one evaluation answers for all the points of which a part is the smallest one.

use std::collections::BTreeSet;

use bailiwick_capability::{Capability, Granted};

use crate::constant::Constant;

/// Most parts of one request. Policies and requests make them together; a request that needs more is denied.
pub(crate) const MAX_PARTS: usize = 2048;

/// The request itself, then every part of it that constants cut out; none if there are too many.
pub(crate) fn parts<'a>(
    request: &Capability,
    constants: impl Iterator<Item = &'a Constant>,
    entries: impl Iterator<Item = &'a Capability>,
) -> Option<Vec<Capability>> {
    let mut family: BTreeSet<Capability> = constants
        .filter_map(|constant| constant.project(request))
        .chain(entries.filter_map(|entry| entry.meet(request)))
        .collect();
    family.remove(request);
    let mut fresh: Vec<Capability> = family.iter().cloned().collect();
    while let Some(part) = fresh.pop() {
        if family.len() >= MAX_PARTS {
            return None;
        }
        let meets: Vec<_> = family
            .iter()
            .filter_map(|other| other.meet(&part))
            .filter(|meet| !family.contains(meet))
            .collect();
        for meet in meets {
            if family.insert(meet.clone()) {
                fresh.push(meet);
            }
        }
    }
    Some(std::iter::once(request.clone()).chain(family).collect())
}

/// What is allowed, exactly: each allowed part without the parts inside it that are not.
/// `allowed(part, root)` judges a part as seen from a grant of `root`; both are positions in `parts`.
pub(crate) fn assemble(
    parts: &[Capability],
    allowed: impl Fn(usize, usize) -> bool,
) -> Vec<Granted> {
    let mut atoms = Vec::new();
    for (root, capability) in parts.iter().enumerate() {
        if !allowed(root, root) {
            continue;
        }
        let holes = parts
            .iter()
            .enumerate()
            .filter(|(at, part)| *at != root && capability.contains(part) && !allowed(*at, root))
            .map(|(_, part)| part.clone());
        atoms.extend(Granted::with_holes(capability.clone(), holes));
    }
    atoms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Type;

    fn cap(text: &str) -> Capability {
        text.parse().unwrap()
    }

    fn constant(of: Type, id: &str) -> Constant {
        let uid = of.uid(id).unwrap();
        crate::constant::read(&uid).unwrap().unwrap().constant
    }

    #[test]
    fn hosts_and_paths_that_cross_leave_their_meet() {
        let constants = [
            constant(Type::Url, "https://*.example.com/v1/"),
            constant(Type::Host, "a.example.com"),
        ];
        let request = cap("network_access:https://*.example.com");
        let family = parts(&request, constants.iter(), std::iter::empty()).unwrap();
        assert_eq!(family.len(), 4);
        assert!(family.contains(&cap("network_access:https://a.example.com/v1/")));
    }

    #[test]
    fn allowed_parts_below_a_hole_come_back() {
        let family = ["/d/", "/d/x/", "/d/x/y/"].map(|p| cap(&format!("read_files:{p}")));
        let atoms = assemble(&family, |at, _| at != 1);
        let shown: Vec<_> = atoms.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["read_files:/d/ except /d/x/", "read_files:/d/x/y/"]);
        assert!(assemble(&family, |_, _| false).is_empty());
    }

    #[test]
    fn more_parts_than_the_limit_are_no_answer() {
        let constants: Vec<_> = (0..=MAX_PARTS)
            .map(|n| constant(Type::File, &format!("/d/{n}")))
            .collect();
        assert_eq!(
            parts(&cap("read_files:/d/"), constants.iter(), std::iter::empty()),
            None
        );
    }
}
