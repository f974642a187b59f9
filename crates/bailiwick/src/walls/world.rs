//! A native program's whole world: its files and programs by the jail, its network and secrets by the egress.

use std::io;
use std::sync::Arc;

use bailiwick_capability::{Capability, Grant, Granted, Kind, NameScope, ProgramScope, Scope};
use bailiwick_egress::{Egress, Listeners, MayUse, Prepared, SecretUses};
use bailiwick_gate::record::Record;
use bailiwick_gate::world::Launch;
use bailiwick_jail::{Extras, Jailed, Native, Network, Programs, Watch};
use bailiwick_runtime::Settings;
use bailiwick_secret::{Store, placeholder};
use bailiwick_wall::{
    Denials, HeldAtom, Hold, PrivateNames, Program, Report, Secret, Wall, WallError,
};
use tokio::runtime::Handle;

use super::native::{extend_by, extend_closure};
use super::programs::{Bound, is_bound};

/// The native wall with all that stands around it.
#[derive(Clone)]
pub(crate) struct NativeWall {
    pub(crate) jail: Native,
    pub(crate) secrets: Arc<Store>,
    pub(crate) watch: Watch,
    /// Authorities trusted besides the machine's and the browsers', in DER.
    pub(crate) extra_roots: Vec<Vec<u8>>,
    /// Names that may lead to private addresses.
    pub(crate) private: PrivateNames,
}

impl Wall for NativeWall {
    fn name(&self) -> &'static str {
        self.jail.name()
    }

    fn report(&self, grant: &Grant) -> Report {
        let jail = self.jail.report(grant);
        let atoms = jail.atoms.into_iter().map(|held| {
            let hold = match held.atom.capability().kind() {
                Kind::NetworkAccess => bailiwick_egress::hold(&held.atom, grant),
                Kind::UseSecret => self.hold_secret(&held, grant),
                Kind::ExecuteCode if is_bound(&held.atom) => self.hold_bound(&held.atom, grant),
                _ => held.hold,
            };
            HeldAtom { hold, ..held }
        });
        Report {
            wall: jail.wall,
            atoms: atoms.collect(),
        }
    }
}

/// Puts a prepared network into the world of `program`.
pub(super) fn reach(egress: &Prepared, program: &mut Program, extras: &mut Extras) {
    extras.network = Some(Network {
        ports: egress.ports(),
        addresses: egress.addresses(),
    });
    extras.files = egress.files();
    // A placeholder goes before a variable that was granted, and what is trusted inside lies elsewhere.
    for (name, value) in egress.env() {
        program.env.retain(|(other, _)| *other != *name);
        program.env.push((name.into(), value.into()));
    }
}

/// To whom a world's refusals and acts are told.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(super) denials: Denials,
    pub(super) record: Record,
}

impl NativeWall {
    /// A program with some arguments is held where the program is: a stub takes its place.
    fn hold_bound(&self, atom: &Granted, grant: &Grant) -> Hold {
        let Scope::Program(scope) = atom.capability().scope() else {
            return Hold::Not {
                why: "it is no program".to_owned(),
            };
        };
        let bare = ProgramScope::new(scope.program().clone(), Vec::new())
            .and_then(|scope| Capability::new(Kind::ExecuteCode, Scope::Program(scope)));
        let bare = match bare {
            Ok(bare) if atom.holes().is_empty() => Granted::whole(bare),
            _ => {
                return Hold::Not {
                    why: "a program with forbidden parts cannot be held".to_owned(),
                };
            }
        };
        let beside = grant.atoms().iter().filter(|other| *other != atom).cloned();
        let report = self.jail.report(&Grant::new(beside.chain([bare.clone()])));
        match report.atoms.into_iter().find(|held| held.atom == bare).map(|held| held.hold) {
            Some(Hold::Fully { .. }) if self.jail.tells() => Hold::Fully {
                how: "in its place stands a stub that asks the host, which runs what begins with these arguments in a \
                      wall of its own"
                    .to_owned(),
            },
            Some(Hold::Fully { .. }) => Hold::Not {
                why: "its arguments are held by answering system calls, and something around this process watches \
                      those already"
                    .to_owned(),
            },
            Some(not) => not,
            None => Hold::Not {
                why: "the program is granted as a whole by another atom".to_owned(),
            },
        }
    }

    fn hold_secret(&self, held: &HeldAtom, grant: &Grant) -> Hold {
        let not = |why: String| Hold::Not { why };
        let Some(name) = exact_name(held) else {
            return bailiwick_egress::hold(&held.atom, grant);
        };
        let binding = match self.secrets.get(name) {
            Ok(Some((_, binding))) => binding,
            Ok(None) => {
                return not(format!(
                    "there is no such secret: `bailiwick secret set {name} --to URL`"
                ));
            }
            Err(error) => return not(error.to_string()),
        };
        let bound = binding
            .to
            .iter()
            .filter_map(|to| Capability::new(Kind::NetworkAccess, Scope::Net(to.clone())).ok());
        let bound: Vec<Capability> = bound.collect();
        let reachable = grant
            .of_kind(Kind::NetworkAccess)
            .any(|atom| bound.iter().any(|to| atom.capability().meet(to).is_some()));
        if !reachable {
            let to: Vec<String> = binding.to.iter().map(ToString::to_string).collect();
            return not(format!(
                "it goes to {} alone, and no network_access there is granted",
                to.join(", ")
            ));
        }
        bailiwick_egress::hold(&held.atom, grant)
    }

    /// Makes the world that `launch` grants to `program`. Nothing starts. Called inside of a tokio runtime.
    ///
    /// # Errors
    /// What cannot be held, found or prepared.
    pub(crate) fn world(
        &self,
        mut program: Program,
        launch: &Launch,
        settings: &Settings,
    ) -> Result<World, WallError> {
        let grant = launch.grant().clone();
        let own = launch
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        program.env.extend(own);
        let around = Surroundings {
            denials: launch.denials.clone(),
            record: launch.record.clone(),
        };
        let bound = grant.atoms().iter().any(is_bound).then(|| Bound {
            wall: self.clone(),
            settings: settings.clone(),
            grant: grant.clone(),
            env: program.env.clone(),
            limits: launch.limits.clone(),
            around: around.clone(),
            handle: Handle::current(),
        });
        let mut world = self.assemble(program, grant, around, settings)?;
        world.extras.programs = bound.map(|bound| Arc::new(bound) as Arc<dyn Programs>);
        Ok(world)
    }

    /// Makes a world of `grant` for a program with its whole environment.
    pub(super) fn assemble(
        &self,
        mut program: Program,
        grant: Grant,
        around: Surroundings,
        settings: &Settings,
    ) -> Result<World, WallError> {
        extend_closure(&mut program.closure, &grant, settings)?;
        if grant.of_kind(Kind::NetworkAccess).next().is_some() {
            // Nothing was granted yet when the program was prepared.
            let own = program.program.clone();
            extend_by(&mut program.closure, &own, &grant, settings)?;
        }
        let egress = self.egress(&grant, &around)?;
        let mut extras = Extras {
            denials: around.denials,
            watch: self.watch,
            ..Extras::default()
        };
        if let Some(egress) = &egress {
            reach(egress, &mut program, &mut extras);
        }
        Ok(World {
            program,
            grant,
            extras,
            egress,
        })
    }

    fn egress(&self, grant: &Grant, around: &Surroundings) -> Result<Option<Prepared>, WallError> {
        let secrets = grant
            .of_kind(Kind::UseSecret)
            .map(|atom| self.secret(&atom.to_string(), exact(atom)));
        let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
        let settings = bailiwick_egress::Settings {
            extra_roots: self.extra_roots.clone(),
            private: self.private.clone(),
            secret_uses: Some(Arc::new(Uses(around.clone()))),
            ..bailiwick_egress::Settings::default()
        };
        Prepared::new(grant, secrets, settings)
    }

    fn secret(&self, shown: &str, name: Option<&str>) -> Result<Secret, WallError> {
        let broken = |why: String| WallError::Plugin(format!("`{shown}`: {why}"));
        let name = name.ok_or_else(|| broken("secrets are named one by one".to_owned()))?;
        let (value, binding) = self
            .secrets
            .get(name)
            .map_err(|error| broken(error.to_string()))?
            .ok_or_else(|| broken("there is no such secret any more".to_owned()))?;
        Ok(Secret {
            name: name.to_owned(),
            placeholder: placeholder().map_err(|error| broken(error.to_string()))?,
            value,
            binding,
        })
    }
}

fn exact_name(held: &HeldAtom) -> Option<&str> {
    exact(&held.atom)
}

fn exact(atom: &Granted) -> Option<&str> {
    match atom.capability().scope() {
        Scope::Name(NameScope::Exact(name)) => Some(name.as_str()),
        _ => None,
    }
}

/// Every use of a secret is in the log before its first byte leaves.
struct Uses(Surroundings);

impl SecretUses for Uses {
    fn about_to_use<'a>(&'a self, secret: &'a str, destination: &'a str) -> MayUse<'a> {
        Box::pin(async move {
            let event = bailiwick_audit::Event::SecretUse {
                secret: secret.to_owned(),
                destination: destination.to_owned(),
            };
            let recorded = self.0.record.durable(event).await;
            self.0.denials.used(Kind::UseSecret.as_str(), secret);
            recorded.map_err(|error| error.to_string())
        })
    }
}

/// What listens inside, as the egress takes it.
pub(super) fn listeners(jailed: &mut Jailed) -> Option<Listeners> {
    let listeners = jailed.listeners.take()?;
    Some(Listeners {
        dns_udp: listeners.dns_udp,
        dns_tcp: listeners.dns_tcp,
        tcp: listeners.tcp,
    })
}

/// All that is needed to start a program in a world of its own.
pub(crate) struct World {
    pub(crate) program: Program,
    pub(crate) grant: Grant,
    pub(crate) extras: Extras,
    egress: Option<Prepared>,
}

impl World {
    /// Serves the network of the program that was started in this world, until the answer is dropped.
    ///
    /// # Errors
    /// Sockets that cannot be served.
    pub(crate) fn serve(self, jailed: &mut Jailed) -> io::Result<Option<Egress>> {
        let Some(egress) = self.egress else {
            return Ok(None);
        };
        let Some(listeners) = listeners(jailed) else {
            return Err(io::Error::other("its network was not made"));
        };
        egress.serve(listeners, self.extras.denials).map(Some)
    }

    /// Whether it may write to logs.
    pub(crate) fn logs(&self) -> bool {
        self.grant.of_kind(Kind::WriteToLogs).next().is_some()
    }

    /// What its wall refuses.
    pub(crate) fn denials(&self) -> Denials {
        self.extras.denials.clone()
    }
}
