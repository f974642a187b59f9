//! What an attack is, and by what it is judged.

/// How the runner sees, from outside, that an attack worked. Nothing here asks the attacker.
///
/// In texts `@` stands for the world's folder, `{mark}` for what the attack knows and sends, and `{tcp}` and the
/// like for what the victim said of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Canary {
    /// The secret, which only the victim and closed files hold, was written to the attack's output.
    Said,
    /// The output has what the machine's own file holds, as text or in hexadecimal digits.
    SaidFile(&'static str, Digits),
    /// The output has this text, which the attack was given by another way than the one it prints it by.
    Answered(&'static str),
    /// A file appeared, went, or changed in content, kind, mode, owner or times.
    Changed(&'static str),
    /// The victim reports this.
    Told(&'static str),
    /// The attack's own processes show it while they wait to be looked at.
    Seen(Sight),
    /// A line of the machine's own state has this text.
    Line(&'static str, &'static str),
    /// Somebody types this text into the person's terminal, or changes it.
    Terminal(&'static str),
    /// Something of the attack lives on after its end, by name or by its beats on this file.
    Lives(&'static str),
    /// A folder holds more than so many MiB, or entries.
    Fills(&'static str, u64),
    /// A file is longer than so many MiB.
    Long(&'static str, u64),
    /// More than so many MiB of output came through.
    Output(u64),
    /// The kernel's clock error is this value.
    Clock(i64),
    /// The gate itself took more than so many MiB of memory, or failed.
    GateMemory(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digits {
    Text,
    Hex,
}

/// What is looked at in the attack's processes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sight {
    /// A descriptor above the standard ones that leads to something of this beginning.
    Descriptor(&'static str),
    /// A process that runs another file than the granted program.
    OtherProgram,
    /// Memory mapped for execution from a file with this in its name.
    MappedCode(&'static str),
    /// Two of its processes are in different namespaces of this name, or under different roots.
    Apart(&'static str),
    /// A mount whose source is the attack's mark.
    Mounted,
    /// A personality that is not the ordinary one.
    Personality,
    /// A negative nice value or a real-time class.
    Favoured,
    /// A lowered score for the killer of last resort.
    Spared,
    /// The person's terminal as controlling terminal.
    ControllingTerminal,
    /// A debugger at one of them.
    Traced,
    /// Another effective user than the one who started it.
    OtherUser,
    /// More than so many processes, threads included.
    Processes(u64),
    /// More than so many dead and unburied ones.
    Zombies(u64),
    /// More than so many descriptors in one process.
    Descriptors(u64),
    /// More than so many MiB of memory, as the kernel shares it out among users.
    Memory(u64),
    /// More than so many MiB in files that only descriptors hold.
    HeldFiles(u64),
    /// More MiB locked into memory than this.
    Locked(u64),
    /// Somebody answers on this TCP port of the machine's loopback.
    Port,
    /// Somebody answers on this Unix socket; `=` begins an abstract name.
    Socket(&'static str),
}

/// Standard input and terminal of the attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Pipes.
    Plain,
    /// Input is the file that may only be read.
    ReadOnlyFile,
    /// Input is the folder of what may be read.
    Folder,
    /// Input is a datagram socket without a peer.
    Socket,
    /// A terminal, which is the controlling one of whoever starts the attack.
    Terminal,
    /// A terminal that controls nobody yet.
    FreeTerminal,
    /// A descriptor to the secret's file (or folder) is left open under this number.
    Leak(&'static str, u32),
}

/// What a grant adds, or replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The attacks, linked statically.
    Static,
    /// The same, linked dynamically.
    Dynamic,
    /// A program of the machine, by its path; the attack's words are its arguments.
    Machine(&'static str),
}

/// One attack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    pub(crate) class: &'static str,
    pub(crate) name: &'static str,
    /// The attack's name and arguments.
    pub(crate) attack: &'static [&'static str],
    pub(crate) canary: Canary,
    pub(crate) streams: Streams,
    pub(crate) program: Program,
    /// Capabilities granted besides the usual ones.
    pub(crate) grants: &'static [&'static str],
    /// Limits set besides the usual ones.
    pub(crate) limits: &'static [&'static str],
    /// Why it is not run without the wall.
    pub(crate) not_bare: Option<&'static str>,
    /// Nothing else runs meanwhile: it changes what all share.
    pub(crate) alone: bool,
    /// Whoever started it is killed while it waits.
    pub(crate) kill_starter: bool,
    /// It runs in the victim's process group.
    pub(crate) with_victims_group: bool,
    /// The gate may refuse to start it at all.
    pub(crate) refusable: bool,
    /// What is seen must still be there a while later: a bomb that is ended at once has been held.
    pub(crate) lasting: bool,
    /// No attack: it uses what was granted, and must work inside too.
    pub(crate) granted: bool,
}

/// An attack that needs nothing special.
pub(crate) const fn probe(
    name: &'static str,
    attack: &'static [&'static str],
    canary: Canary,
) -> Probe {
    Probe {
        class: "",
        name,
        attack,
        canary,
        streams: Streams::Plain,
        program: Program::Static,
        grants: &[],
        limits: &[],
        not_bare: None,
        alone: false,
        kill_starter: false,
        with_victims_group: false,
        refusable: false,
        lasting: false,
        granted: false,
    }
}

impl Probe {
    pub(crate) const fn streams(mut self, streams: Streams) -> Self {
        self.streams = streams;
        self
    }

    pub(crate) const fn program(mut self, program: Program) -> Self {
        self.program = program;
        self
    }

    pub(crate) const fn grants(mut self, grants: &'static [&'static str]) -> Self {
        self.grants = grants;
        self
    }

    pub(crate) const fn limits(mut self, limits: &'static [&'static str]) -> Self {
        self.limits = limits;
        self.lasting = true;
        self
    }

    pub(crate) const fn granted(mut self) -> Self {
        self.granted = true;
        self
    }

    pub(crate) const fn not_bare(mut self, why: &'static str) -> Self {
        self.not_bare = Some(why);
        self
    }

    pub(crate) const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    pub(crate) const fn kill_starter(mut self) -> Self {
        self.kill_starter = true;
        self
    }

    pub(crate) const fn with_victims_group(mut self) -> Self {
        self.with_victims_group = true;
        self
    }

    pub(crate) const fn refusable(mut self) -> Self {
        self.refusable = true;
        self
    }
}
