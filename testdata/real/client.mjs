// Drives an MCP server over stdio with the official TypeScript SDK.
// Input, JSON on stdin:  {"command": [..], "env": {..}?, "cwd": ".."?, "calls": [{"tool", "arguments"}, ..], "answers": [..]?}
// Output, JSON on stdout: {"server", "protocol", "tools": [..], "results": [{"result"} | {"error"}, ..], "asked": [..]}
// With `answers` its user can be asked: they choose one for each question, or decline one that is null.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const real = process.env.BAILIWICK_REAL ?? join(import.meta.dirname, "../../.cache/real");
const require = createRequire(join(real, "package.json"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { ElicitRequestSchema } = require("@modelcontextprotocol/sdk/types.js");
const { StdioClientTransport, getDefaultEnvironment } = require("@modelcontextprotocol/sdk/client/stdio.js");

const { command, env = {}, cwd, calls = [], answers } = JSON.parse(readFileSync(0, "utf8"));
const transport = new StdioClientTransport({
  command: command[0],
  args: command.slice(1),
  env: { ...getDefaultEnvironment(), ...env },
  cwd,
});
let protocol = null;
transport.setProtocolVersion = (version) => (protocol = version);
const client = new Client({ name: "bailiwick-test-ts", version: "1.0.0" }, { capabilities: answers ? { elicitation: {} } : {} });
const asked = [];
if (answers) {
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    const answer = answers[asked.push(params) - 1] ?? null;
    return answer === null ? { action: "decline" } : { action: "accept", content: { answer } };
  });
}
await client.connect(transport);

const tools = [];
let cursor;
do {
  const page = await client.listTools({ cursor });
  tools.push(...page.tools);
  cursor = page.nextCursor;
} while (cursor);

const results = [];
for (const { tool, arguments: args = {} } of calls) {
  try {
    results.push({ result: await client.callTool({ name: tool, arguments: args }) });
  } catch (error) {
    results.push({ error: { code: error.code ?? null, message: String(error.message), data: error.data ?? null } });
  }
}
const outcome = {
  server: client.getServerVersion(),
  protocol,
  tools,
  results,
  asked,
};
await client.close();
process.stdout.write(JSON.stringify(outcome) + "\n");
