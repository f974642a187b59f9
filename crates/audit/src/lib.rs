//! Audit records, durable append, verification and query over a tlog.
