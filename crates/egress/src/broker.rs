//! Secrets: put in on the way to where they are bound, taken out of what comes back.
