//! The native wall: namespaces, mounts, Landlock, seccomp. All unsafe code of the project is here.
