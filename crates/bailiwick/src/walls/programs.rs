//! Programs of which only some arguments are granted, each run in a world of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bailiwick_audit::{AtomDecision, Event, Moment, Outcome};
use bailiwick_capability::{
    AbsPath, Capability, Grant, Granted, Kind, ProgramRef, ProgramScope, Scope,
};
use bailiwick_jail::{Asked, Programs, Running, Stdio};
use bailiwick_runtime::{Settings, closure_of};
use bailiwick_wall::{Limits, Program};
use tokio::runtime::Handle;

use super::world::{NativeWall, Surroundings};

/// Whether an atom grants a program with some arguments only.
pub(crate) fn is_bound(atom: &Granted) -> bool {
    match (atom.capability().kind(), atom.capability().scope()) {
        (Kind::ExecuteCode, Scope::Program(scope)) => !scope.args().is_empty(),
        _ => false,
    }
}

/// Decides on what stubs ask, and runs it with the asker's grant and the environment that the plugin was
/// given at its start: nothing that the plugin may have set since.
pub(crate) struct Bound {
    pub(crate) wall: NativeWall,
    pub(crate) settings: Settings,
    pub(crate) grant: Grant,
    pub(crate) env: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    pub(crate) limits: Limits,
    pub(crate) around: Surroundings,
    pub(crate) handle: Handle,
}

impl fmt::Debug for Bound {
    // The environment may hold what does not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

impl Programs for Bound {
    fn start(&self, asked: Asked) -> Result<Running, String> {
        let path = asked.program.to_str().ok_or("its path is not UTF-8")?;
        let words = asked
            .args
            .iter()
            .map(|word| word.to_str().map(str::to_owned));
        let words: Vec<String> = words
            .collect::<Option<_>>()
            .ok_or("an argument is not UTF-8")?;
        let program = AbsPath::exactly(path).map_err(|error| error.to_string())?;
        let scope = ProgramScope::new(ProgramRef::Path(program), words)
            .map_err(|error| error.to_string())?;
        let operation = Capability::new(Kind::ExecuteCode, Scope::Program(scope))
            .map_err(|error| error.to_string())?;
        let atom = self
            .grant
            .atoms()
            .iter()
            .find(|atom| atom.permits(&operation));
        let atom = atom.ok_or("the program is granted with other arguments only")?;
        self.record(&operation, atom)?;
        // What it may run itself are whole programs; a stub inside would ask for a world in a world.
        let whole = self.grant.atoms().iter().filter(|atom| !is_bound(atom));
        let grant = Grant::new(whole.cloned());
        let (closure, _) =
            closure_of(&asked.program, &self.settings).map_err(|error| error.to_string())?;
        let program = Program {
            program: asked.program,
            args: asked.args,
            env: self.env.clone(),
            cwd: asked.cwd,
            closure,
        };
        let told = |error: bailiwick_wall::WallError| error.to_string();
        let mut world = self
            .wall
            .assemble(program, grant, self.around.clone(), &self.settings)
            .map_err(told)?;
        world.extras.streams = Some(Arc::new(asked.streams));
        let mut jailed = self
            .wall
            .jail
            .spawn_with(
                &world.program,
                &world.grant,
                &self.limits,
                Stdio::Inherit,
                &world.extras,
            )
            .map_err(told)?;
        // Sockets are served by the runtime, on which this thread is not.
        let _inside = self.handle.enter();
        let egress = world
            .serve(&mut jailed)
            .map_err(|error| error.to_string())?;
        Ok(Running {
            jailed,
            keep: Box::new(egress),
        })
    }
}

impl Bound {
    /// In the log before it runs.
    fn record(&self, operation: &Capability, atom: &Granted) -> Result<(), String> {
        let event = Event::Decision {
            outcome: Outcome::Grant,
            moment: Moment::Operation,
            atoms: vec![AtomDecision {
                asked: operation.to_string(),
                outcome: Outcome::Grant,
                granted: vec![atom.to_string()],
                policies: Vec::new(),
                reasons: vec!["its leading arguments are granted".to_owned()],
            }],
            context: BTreeMap::new(),
        };
        let recorded = self.handle.block_on(self.around.record.durable(event));
        recorded.map_err(|error| error.to_string())
    }
}
