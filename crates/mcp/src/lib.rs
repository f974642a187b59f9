//! MCP messages, revisions and transports.
