"""Drives an MCP server over stdio with the official Python SDK.

Input, JSON on stdin:  {"command": [..], "env": {..}?, "cwd": ".."?, "mode": "auto"?, "calls": [{"tool", "arguments"}, ..],
                        "answers": [..]?}
Output, JSON on stdout: {"server", "protocol", "tools": [..], "results": [{"result"} | {"error"}, ..], "asked": [..]}

`mode` is the SDK's: "auto" (asks for the stateless revision first), "legacy" (initialize), or a revision.
With `answers` its user can be asked: they choose one for each question, or decline one that is null.
"""

import asyncio
import json
import sys

from mcp import MCPError, StdioServerParameters
from mcp.client import Client
from mcp.types import ElicitResult


def plain(model):
    return None if model is None else model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def drive(job):
    command, *args = job["command"]
    server = StdioServerParameters(command=command, args=args, env=job.get("env"), cwd=job.get("cwd"))
    asked, answers = [], job.get("answers")

    async def answer(_, params):
        asked.append(plain(params))
        chosen = answers[len(asked) - 1]
        if chosen is None:
            return ElicitResult(action="decline")
        return ElicitResult(action="accept", content={"answer": chosen})

    told = {} if answers is None else {"elicitation_callback": answer}
    async with Client(server, mode=job.get("mode", "auto"), cache=None, **told) as client:
        tools, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += [plain(tool) for tool in page.tools]
            cursor = page.next_cursor
            if not cursor:
                break
        results = []
        for call in job.get("calls", []):
            try:
                results.append({"result": plain(await client.call_tool(call["tool"], call.get("arguments", {})))})
            except MCPError as error:
                results.append({"error": plain(error.error)})
        return {
            "server": plain(client.session.server_info),
            "protocol": client.session.protocol_version,
            "tools": tools,
            "results": results,
            "asked": asked,
        }


print(json.dumps(asyncio.run(drive(json.load(sys.stdin)))))
