//! The native wall: namespaces, mounts, Landlock, seccomp. All unsafe code of the project is here.
//!
//! [`Native::spawn`] runs any unmodified Linux program so that only what a grant names exists for it. The
//! order is: namespaces → an empty root with bind mounts → resource limits → no capabilities,
//! `no_new_privs` → Landlock → seccomp → a self-test that tries what must fail → exec of a tiny init,
//! which starts the program, reaps, and ends everything when the host goes away. A step that fails means
//! that nothing of the program has run.
//!
//! Who runs it: root or any user. Inside, a host root is user 1000 without capabilities: it reads what
//! root owns, but no longer what others own and keep to themselves. Any other user keeps its number.
//!
//! What a granted path must be: existing, without symbolic link. A write grant does not include reading.

#[cfg(not(target_os = "linux"))]
compile_error!("the native wall is Linux only; do not build this crate elsewhere");

mod base;
mod bounds;
mod cgroup;
mod child;
mod explain;
mod extras;
mod holder;
mod holes;
mod inherit;
mod jailed;
mod landlock;
mod layout;
mod machine;
mod meter;
mod mounted;
mod native;
mod passing;
mod paths;
mod report;
mod scopes;
mod seccomp;
mod spawn;
mod supervise;
mod sys;
mod terminal;

pub use base::{HOME, TMP};
pub use extras::{DNS, Extras, Listeners, Network, Watch};
pub use inherit::can_be_handed_over;
pub use jailed::Jailed;
pub use machine::{Fact, Machine, Setting};
pub use native::Native;
pub use spawn::Stdio;
pub use supervise::{Asked, Programs, Running};
pub use terminal::Terminal;
