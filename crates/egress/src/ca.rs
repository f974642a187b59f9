//! The certificate authority of one session, which only its sandbox trusts.
