//! Both sides of the crate over a pipe: in raw lines, against rmcp, and against hostile peers.

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod interop;
#[cfg(test)]
mod negotiation;
#[cfg(test)]
mod server;
#[cfg(test)]
mod support;
